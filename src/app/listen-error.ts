import { PlimsollError } from '../spec/errors.ts';

/** What the system says about an address, as an error that names what to change. */
export function asListenError(thrown: unknown, at: string): unknown {
	const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
	const options = { cause: thrown };
	switch (code) {
		case 'EADDRINUSE':
			return new PlimsollError(
				'address_in_use',
				`Something else listens on ${at}. Stop it, or start with --port.`,
				options,
			);
		case 'EACCES':
			return new PlimsollError('address_unusable', `The system does not let this user listen on ${at}.`, options);
		case 'EADDRNOTAVAIL':
		case 'ENOTFOUND':
		case 'EAI_AGAIN':
			return new PlimsollError('address_unusable', `${at} is no address of this machine.`, options);
		default:
			return thrown;
	}
}
