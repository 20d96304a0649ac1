import { PlimsollError } from '../spec/errors.ts';
import { EXIT } from './exit-code.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Ctrl-C, and what supervisors send in its place: the first aborts `signal`, so that the command can end in order, the
 * second ends the process at once.
 */
export function watchInterrupts(): { readonly signal: AbortSignal; stop(): void } {
	const controller = new AbortController();
	const onSignal = () => {
		if (controller.signal.aborted) process.exit(EXIT.interrupted);
		controller.abort(new PlimsollError('client_closed', 'Interrupted.'));
	};
	for (const name of SIGNALS) process.on(name, onSignal);
	return {
		signal: controller.signal,
		stop() {
			for (const name of SIGNALS) process.off(name, onSignal);
		},
	};
}

/** Resolves when the signal aborts: what a server waits for. */
export function aborted(signal: AbortSignal): Promise<void> {
	const { promise, resolve } = Promise.withResolvers<void>();
	if (signal.aborted) resolve();
	signal.addEventListener('abort', () => resolve(), { once: true });
	return promise;
}
