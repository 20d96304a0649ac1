import { isMapping } from '../mapping.ts';
import { FORMAT_ASSERTION, subSchemasOf, VOCABULARIES } from './keywords.ts';

/** The dialect of schemas that name none. */
export const DRAFT_2020_12 = 'https://json-schema.org/draft/2020-12/schema';

/** A schema with an address of its own: what references within it are relative to, and whose anchors it has. */
export interface Resource {
	/** Absolute, without a fragment. */
	readonly uri: string;
	readonly root: unknown;
	readonly anchors: Map<string, unknown>;
	/** Those of `anchors` that a `$dynamicRef` finds from afar. */
	readonly dynamicAnchors: Map<string, unknown>;
	/** Keywords that its dialect knows; null: all. */
	readonly keywords: ReadonlySet<string> | null;
	/** Its dialect holds values to their `format`. */
	readonly assertsFormats: boolean;
}

/** A schema and the resource that it is a part of. */
export interface Located {
	readonly node: unknown;
	readonly resource: Resource;
}

/** A schema cannot be used, and why. */
export class SchemaError extends Error {
	override readonly name = 'SchemaError';
}

/** Schemas by address, in which references are resolved. Nothing is ever fetched. */
export class Resources {
	readonly #byUri = new Map<string, Resource>();
	readonly #resourceOf = new Map<unknown, Resource>();
	readonly #documents: ReadonlyMap<string, unknown>;
	/** The documents that something refers to, by their addresses. */
	readonly used = new Map<string, unknown>();

	/** @param documents by address; each is read when something refers to it, or to an `$id` of it. */
	constructor(documents: ReadonlyMap<string, unknown>) {
		this.#documents = documents;
	}

	/** Takes a document in, with all resources within it. Throws SchemaError for an `$id` that is none, or for one that is there twice. */
	add(root: unknown, uri: string): Resource {
		const top = this.#create(root, isMapping(root) ? idOf(root, uri) : uri, null);
		// It is found by the address that it was asked for, too.
		if (!this.#byUri.has(uri)) this.#byUri.set(uri, top);
		const waiting: Located[] = [{ node: root, resource: top }];
		for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
			const { node, resource } = at;
			this.#resourceOf.set(node, resource);
			if (!isMapping(node)) continue;
			for (const [name, isDynamic] of anchorsOf(node)) {
				if (resource.anchors.has(name)) throw new SchemaError(`two parts have the anchor ${JSON.stringify(name)}`);
				resource.anchors.set(name, node);
				if (isDynamic) resource.dynamicAnchors.set(name, node);
			}
			for (const { schema } of subSchemasOf(node)) {
				const inner =
					isMapping(schema) && typeof schema.$id === 'string'
						? this.#create(schema, idOf(schema, resource.uri), resource)
						: resource;
				waiting.push({ node: schema, resource: inner });
			}
		}
		return top;
	}

	/** What a reference of `from` points at. Throws SchemaError when there is nothing. */
	resolve(ref: string, from: Resource): Located {
		const [uri = '', fragment = ''] = absolute(ref, from.uri).split('#', 2);
		const resource = this.#resourceAt(uri);
		if (resource === null) throw new SchemaError(`${shown(ref)} is not known, and nothing is fetched`);
		const name = decoded(fragment);
		if (name === '') return { node: resource.root, resource };
		if (!name.startsWith('/')) {
			const node = resource.anchors.get(name);
			if (node === undefined) throw new SchemaError(`${shown(ref)} does not exist`);
			return { node, resource };
		}
		return this.#atPointer(name, resource) ?? raise(`${shown(ref)} does not exist`);
	}

	/** The schema that a keyword of `from` holds. */
	below(node: unknown, from: Resource): Located {
		return { node, resource: (isMapping(node) && this.#resourceOf.get(node)) || from };
	}

	#atPointer(pointer: string, from: Resource): Located | null {
		let at: Located = { node: from.root, resource: from };
		for (const part of pointer.slice(1).split('/')) {
			const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
			const { node } = at;
			if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return null;
			at = this.below((node as Readonly<Record<string, unknown>>)[key], at.resource);
		}
		return at;
	}

	#resourceAt(uri: string): Resource | null {
		const known = this.#byUri.get(uri);
		if (known !== undefined) return known;
		const document = this.#documents.get(uri);
		if (document !== undefined) return this.#use(uri, document);
		// A document may call itself something else than where it lies.
		for (const [place, other] of this.#documents) {
			if (isMapping(other) && typeof other.$id === 'string' && idOf(other, place) === uri)
				return this.#use(place, other);
		}
		return null;
	}

	#use(uri: string, document: unknown): Resource {
		this.used.set(uri, document);
		return this.add(document, uri);
	}

	#create(root: unknown, uri: string, within: Resource | null): Resource {
		const dialect = isMapping(root) && typeof root.$schema === 'string' ? root.$schema.replace(/#$/, '') : null;
		const asWithin = { keywords: within?.keywords ?? null, assertsFormats: within?.assertsFormats ?? false };
		const meaning = dialect === null ? asWithin : this.#dialect(dialect);
		const resource = { uri, root, anchors: new Map(), dynamicAnchors: new Map(), ...meaning };
		const other = this.#byUri.get(uri);
		if (other !== undefined && other.root !== root) throw new SchemaError(`two schemas have the address ${shown(uri)}`);
		this.#byUri.set(uri, resource);
		return resource;
	}

	#dialect(uri: string): Pick<Resource, 'keywords' | 'assertsFormats'> {
		if (uri === DRAFT_2020_12 || uri.startsWith('https://json-schema.org/draft/2020-12/meta/')) {
			return { keywords: null, assertsFormats: false };
		}
		const root = this.#documents.get(uri);
		if (!isMapping(root)) {
			throw new SchemaError(`the dialect ${shown(uri)} is not known; schemas here are JSON Schema 2020-12`);
		}
		this.used.set(uri, root);
		if (!isMapping(root.$vocabulary)) return { keywords: null, assertsFormats: false };
		const keywords = new Set(VOCABULARIES.get('https://json-schema.org/draft/2020-12/vocab/core'));
		for (const [name, isRequired] of Object.entries(root.$vocabulary)) {
			const known = VOCABULARIES.get(name);
			if (known === undefined && isRequired === true) {
				throw new SchemaError(`the dialect ${shown(uri)} needs the vocabulary ${shown(name)}, which is not known`);
			}
			for (const keyword of known ?? []) keywords.add(keyword);
		}
		return { keywords, assertsFormats: Object.hasOwn(root.$vocabulary, FORMAT_ASSERTION) };
	}
}

function idOf(schema: Readonly<Record<string, unknown>>, base: string): string {
	if (typeof schema.$id !== 'string') return base;
	return absolute(schema.$id, base).replace(/#$/, '');
}

function anchorsOf({ $anchor, $dynamicAnchor }: Readonly<Record<string, unknown>>): [string, boolean][] {
	const found: [string, boolean][] = [];
	if (typeof $dynamicAnchor === 'string') found.push([$dynamicAnchor, true]);
	if (typeof $anchor === 'string' && $anchor !== $dynamicAnchor) found.push([$anchor, false]);
	return found;
}

function absolute(ref: string, base: string): string {
	// What is opaque, such as a URN, has fragments and no paths.
	if (ref === '' || ref.startsWith('#')) return base + ref;
	return URL.parse(ref, base)?.href ?? raise(`${shown(ref)} is not an address`);
}

function decoded(fragment: string): string {
	try {
		return decodeURIComponent(fragment);
	} catch {
		return raise(`${shown(`#${fragment}`)} is not an address`);
	}
}

function shown(text: string): string {
	return JSON.stringify(text.slice(0, 100));
}

function raise(message: string): never {
	throw new SchemaError(message);
}
