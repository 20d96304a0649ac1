import type { SchemaReading } from '../../src/contracts/release.ts';

/** Of a schema that refers to nothing else. */
export const ALONE: SchemaReading = { uri: 'plimsoll:///schemas/output.json', documents: {}, formats: 'assertion' };
