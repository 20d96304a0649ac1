import { z } from 'zod';
import { GENERATION_STATES, MOVE_KINDS } from '../spec/generations.ts';

/** What a Plimsoll server says about index generations, checked before it is used. */

const instant = z.string().nullable();

const summary = z.object({
	collection: z.string(),
	sequence: z.int(),
	generation: z.string(),
	state: z.enum(GENERATION_STATES),
	documents: z.int(),
	chunks: z.int(),
	run: z.string(),
	table: z.string(),
	reason: z.string().nullable(),
	created_at: z.string(),
	verified_at: instant,
	promoted_at: instant,
	retired_at: instant,
	removed_at: instant,
});

const check = z.object({
	check: z.string(),
	passed: z.boolean(),
	overrulable: z.boolean(),
	message: z.string(),
	detail: z.unknown(),
});

export const verificationReply = z.object({ at: z.string(), passed: z.boolean(), checks: z.array(check) });
export type VerificationReply = z.output<typeof verificationReply>;

export const generationReply = summary.extend({
	manifest: z.unknown(),
	statistics: z.unknown(),
	verification: verificationReply.nullable(),
});
export type GenerationReply = z.output<typeof generationReply>;

export const moveReply = z.object({
	at: z.string(),
	collection: z.string(),
	kind: z.enum(MOVE_KINDS),
	from: z.string().nullable(),
	to: z.string(),
	actor: z.string(),
	why: z.string(),
});
export type MoveReply = z.output<typeof moveReply>;

export const generationsReply = z.object({ generations: z.array(summary), moves: z.array(moveReply) });
export type GenerationsReply = z.output<typeof generationsReply>;

const documentList = z.object({
	count: z.int(),
	some: z.array(z.object({ source: z.string(), document: z.string() })).readonly(),
});

export const differenceReply = z.object({ path: z.string(), left: z.unknown(), right: z.unknown() });

export const diffReply = z.object({
	left: z.string(),
	right: z.string(),
	documents: z.object({ added: documentList, removed: documentList, changed: documentList, same: z.int() }).nullable(),
	settings: z.array(differenceReply),
});
export type DiffReply = z.output<typeof diffReply>;

export const collectedReply = z.object({
	generations: z.array(z.string()).readonly(),
	tables: z.array(z.string()).readonly(),
});
export type CollectedReply = z.output<typeof collectedReply>;

export const estimateReply = z.object({
	collection: z.string(),
	documents: z.int(),
	chunks: z.int(),
	tokens: z.int().nullable(),
	seconds: z.number().nullable(),
	cost_micros: z.int().nullable(),
	price_unknown: z.boolean(),
});
export type EstimateReply = z.output<typeof estimateReply>;
