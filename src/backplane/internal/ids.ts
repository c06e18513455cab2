/**
 * Numbers backplanes in memory: two that are made in one millisecond with one seed are two nevertheless. A simulated world
 * counts anew, and puts back what was.
 *
 * @internal
 */
export const backplaneIds = { last: 0 }
