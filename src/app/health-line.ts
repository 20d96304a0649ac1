/** One finding about a deployment. */
export interface HealthLine {
	/** What it is about, such as `collection docs`. */
	readonly subject: string;
	readonly status: 'ok' | 'warn' | 'fail';
	readonly message: string;
	/** What to do; null when all is well. */
	readonly action: string | null;
}

export function ok(subject: string, message: string): HealthLine {
	return { subject, status: 'ok', message, action: null };
}

export function warn(subject: string, message: string, action: string): HealthLine {
	return { subject, status: 'warn', message, action };
}

export function fail(subject: string, message: string, action: string): HealthLine {
	return { subject, status: 'fail', message, action };
}
