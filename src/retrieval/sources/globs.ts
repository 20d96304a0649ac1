import path from 'node:path';

interface Globs {
	readonly include: readonly string[];
	readonly exclude: readonly string[];
}

export function includes({ include }: Pick<Globs, 'include'>, id: string): boolean {
	return include.some((pattern) => path.posix.matchesGlob(id, pattern));
}

/** A pattern that ends in `/**` excludes the folder itself too. */
export function excludes({ exclude }: Pick<Globs, 'exclude'>, id: string): boolean {
	return exclude.some(
		(pattern) => path.posix.matchesGlob(id, pattern.replace(/\/\*\*$/, '')) || path.posix.matchesGlob(id, pattern),
	);
}
