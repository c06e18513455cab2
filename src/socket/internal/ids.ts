/** Numbers the connections of the process; a simulated world counts anew, and puts back what was. @internal */
export const connectionIds = { last: 0 }
