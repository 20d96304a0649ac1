import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Provider } from '@openfeature/server-sdk';
import type { ProjectConfig } from '../contracts/project.ts';
import { isMapping } from '../contracts/schema-node.ts';
import { PlimsollError } from '../spec/errors.ts';

type ProviderConfig = NonNullable<ProjectConfig['flags']['provider']>;

/**
 * Makes the provider that a configuration names: a package of the project's folder, or one of Plimsoll's own, or a
 * file. Throws `dependency_missing` with the command that installs it, or `configuration_invalid`.
 */
export async function loadProvider(config: ProviderConfig, dir: string): Promise<Provider> {
	const module = await importModule(config.module, dir);
	const made = Object.hasOwn(module, config.exportName) ? module[config.exportName] : undefined;
	if (made === undefined) {
		const names = Object.keys(module).sort().slice(0, 20).join(', ');
		throw unusable(config, `exports no ${config.exportName}; it exports ${names || 'nothing'}`);
	}
	try {
		// Frozen settings of ours would break a provider that fills in its own defaults.
		const options = config.options === null ? [] : [structuredClone(config.options)];
		const provider: unknown = typeof made === 'function' ? await make(made, options) : made;
		if (isProvider(provider)) return provider;
	} catch (thrown) {
		throw unusable(config, `failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
	}
	throw unusable(config, 'makes no OpenFeature provider for servers');
}

async function importModule(name: string, dir: string): Promise<Record<string, unknown>> {
	const specifier = /^\.\.?\//.test(name) ? pathToFileURL(resolve(dir, name)).href : resolveFrom(dir, name);
	try {
		return await import(specifier);
	} catch (thrown) {
		const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
		const reason = thrown instanceof Error ? thrown.message : String(thrown);
		if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') {
			throw new PlimsollError(
				'configuration_invalid',
				`The flag provider's module ${name} cannot be loaded: ${reason}`,
				{
					cause: thrown,
				},
			);
		}
		const remedy = specifier.startsWith('file:')
			? `Something that it needs is not there: ${reason}`
			: `Install it in the project's folder: npm install ${name}`;
		throw new PlimsollError('dependency_missing', `The flag provider's module ${name} is not installed. ${remedy}`, {
			cause: thrown,
		});
	}
}

/** The project's own copy where it has one; else the name, which Node then looks for from here. */
function resolveFrom(dir: string, name: string): string {
	try {
		return pathToFileURL(createRequire(join(dir, 'package.json')).resolve(name)).href;
	} catch {
		// Not there, or a package for `import` alone: what cannot be found here either is reported then.
		return name;
	}
}

/** A class is made, a function is called; OpenFeature providers come as either. */
function make(made: object, options: readonly unknown[]): unknown {
	const isClass = 'prototype' in made && made.prototype !== undefined;
	return isClass
		? Reflect.construct(made as new () => unknown, options)
		: (made as (...all: unknown[]) => unknown)(...options);
}

function isProvider(value: unknown): value is Provider {
	if (typeof value !== 'object' || value === null) return false;
	const provider = value as Readonly<Record<string, unknown>>;
	const resolvers = ['resolveBooleanEvaluation', 'resolveStringEvaluation', 'resolveNumberEvaluation'];
	return isMapping(provider.metadata) && resolvers.every((name) => typeof provider[name] === 'function');
}

function unusable({ module }: ProviderConfig, what: string, cause?: unknown): PlimsollError {
	return new PlimsollError('configuration_invalid', `The flag provider's module ${module} ${what}.`, { cause });
}
