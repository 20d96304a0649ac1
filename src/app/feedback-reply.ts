import { z } from 'zod';
import { RATINGS } from '../spec/feedback.ts';
import type { RequestTrace } from '../spec/trace.ts';
import { requestTrace } from '../telemetry/trace-schema.ts';

const feedbackReply = z.object({
	request_id: z.string(),
	tenant: z.string(),
	rater: z.string(),
	at: z.string(),
	rating: z.enum(RATINGS),
	score: z.number(),
	label: z.string().nullable(),
	passages: z.array(z.string()).readonly(),
	comment: z.string().nullable(),
	question: z.string().nullable(),
	corrected_answer: z.string().nullable(),
	feature: z.string().nullable(),
	collection: z.string().nullable(),
	generation: z.string().nullable(),
});
export type FeedbackReply = z.output<typeof feedbackReply>;

export const feedbackListReply = z.object({ feedback: z.array(feedbackReply) });
export const feedbackRemovedReply = z.object({ removed: z.int() });

/** A trace with what was said of its request. */
export const tracedReply: z.ZodType<TracedReply> = requestTrace.extend({ feedback: z.array(feedbackReply).readonly() });
export type TracedReply = RequestTrace & { readonly feedback: readonly FeedbackReply[] };
