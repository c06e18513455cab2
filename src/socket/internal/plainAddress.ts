/**
 * An address as people know it: an IPv4 address that a socket of IPv6 shows as `::ffff:1.2.3.4` without that prefix.
 *
 * @internal
 */
export const plainAddress = (address: string | undefined): string | undefined =>
  address?.startsWith("::ffff:") === true && address.includes(".") ? address.slice(7) : address
