import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Networks that are not the public internet: RFC 6890 and its successors, with every way to write IPv4 inside IPv6. */
const PRIVATE = new BlockList();
for (const [net, prefix] of [
	['0.0.0.0', 8],
	['10.0.0.0', 8],
	['100.64.0.0', 10],
	['127.0.0.0', 8],
	['169.254.0.0', 16],
	['172.16.0.0', 12],
	['192.0.0.0', 24],
	['192.0.2.0', 24],
	['192.168.0.0', 16],
	['198.18.0.0', 15],
	['198.51.100.0', 24],
	['203.0.113.0', 24],
	['224.0.0.0', 3],
] as const)
	PRIVATE.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of [
	// Unspecified, loopback, and the deprecated IPv4-compatible addresses; IPv4-mapped ones are checked as IPv4.
	['::', 96],
	['64:ff9b::', 96],
	['64:ff9b:1::', 48],
	['100::', 64],
	['2001::', 23],
	['2001:db8::', 32],
	['2002::', 16],
	['fc00::', 7],
	['fe80::', 9],
	['ff00::', 8],
] as const)
	PRIVATE.addSubnet(net, prefix, 'ipv6');

/** Where clouds tell a machine its own secrets. Nothing that is asked for answers lives there. */
const METADATA = new BlockList();
METADATA.addSubnet('169.254.0.0', 16, 'ipv4');
METADATA.addSubnet('fe80::', 10, 'ipv6');
METADATA.addAddress('fd00:ec2::254', 'ipv6');
METADATA.addAddress('100.100.100.200', 'ipv4');

/** An address that a request was not allowed to reach. */
export class PrivateAddressError extends Error {
	constructor(host: string, address: string) {
		super(
			host === address
				? `${host} is a private address, which is not allowed here`
				: `${host} leads to the private address ${address}, which is not allowed here`,
		);
	}
}

/** Whether an IP address is of this machine, of a private network, or of no use at all. False for what is no address. */
export function isPrivateAddress(address: string): boolean {
	return isIn(PRIVATE, address);
}

/** Whether a host is a link-local address, or one at which a cloud tells a machine its secrets, by its name too. */
export function isMetadataHost(host: string): boolean {
	return isIn(METADATA, host) || /^metadata(?:\.google\.internal|\.goog)?\.?$/i.test(host);
}

/** Whether a host names this machine, or is an address that is not of the public internet. Names are not looked up. */
export function isPrivateHost(hostname: string): boolean {
	return isPrivateAddress(hostname) || /^(?:.+\.)?localhost\.?$/i.test(hostname);
}

function isIn(list: BlockList, address: string): boolean {
	const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
	const version = isIP(bare);
	return version !== 0 && list.check(bare, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Resolves a name for a connection, and fails with PrivateAddressError where any of its addresses is private. It stands in
 * the connection itself, so that a name cannot mean one thing when it is checked and another when it is used.
 */
export const publicLookup: LookupFunction = lookupWithout(isPrivateAddress);

/** The same for what may lead into a private network, and not to where a cloud keeps a machine's secrets. */
export const upstreamLookup: LookupFunction = lookupWithout(isMetadataHost);

function lookupWithout(isHidden: (address: string) => boolean): LookupFunction {
	return (hostname, options, callback) => {
		lookup(hostname, { ...options, all: true }, (error, addresses) => {
			if (error) return callback(error, '');
			const hidden = addresses.find(({ address }) => isHidden(address));
			if (hidden) return callback(new PrivateAddressError(hostname, hidden.address), '');
			if (options.all) return callback(null, addresses);
			const [first] = addresses;
			callback(null, first?.address ?? '', first?.family);
		});
	};
}
