/** One step of a build, such as `move` of `generations`, and whether the process dies before it begins or when it is done. */
export interface CrashPoint {
	readonly part: 'generations' | 'writer';
	readonly operation: string;
	readonly when: 'before' | 'after';
}

/** The same object, but the process kills itself at one operation of it. Other members are those of the object. */
export function crashOn<T extends object>(target: T, point: Pick<CrashPoint, 'operation' | 'when'>): T {
	return new Proxy(target, {
		get(object, name) {
			const member: unknown = Reflect.get(object, name, object);
			if (typeof member !== 'function') return member;
			const call = member.bind(object) as (...args: unknown[]) => unknown;
			if (name !== point.operation) return call;
			return async (...args: unknown[]) => {
				if (point.when === 'after') await call(...args);
				process.kill(process.pid, 'SIGKILL');
				await new Promise(() => {});
			};
		},
	});
}
