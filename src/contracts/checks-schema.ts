import * as z from 'zod';
import { decimal, integer } from './fields.ts';

/** `collections.<name>.checks` of plimsoll.yaml. */
export const checks = z
	.strictObject({
		required: z
			.boolean()
			.meta({
				description:
					'Whether a feature that needs the collection is ready only while its live index is not empty and passes its known-answer checks. False: an alert says so, and the server stays ready.',
			})
			.default(true),
		every_minutes: integer(1, 1_440, {
			description: 'How often known-answer checks are made, besides those at the start and before a promotion.',
			'x-unit': 'minutes',
		}).default(15),
		k: integer(1, 1_000, {
			description:
				'Among how many chunks the answer of a canary must be, where neither it nor a contract says another number.',
		}).default(10),
		recall_min: decimal(0, 1, {
			description: 'The share of canaries whose answer must be found, where a contract says no other.',
		}).default(0.8),
		sample: integer(20, 2_000, { description: 'Canaries that the daily recall canary draws.' }).default(200),
		alpha: decimal(0.000_1, 0.1, {
			description:
				'How likely the daily recall canary may take chance for a drop, in one comparison; a second one must agree before there is an alert.',
		}).default(0.001),
	})
	.prefault({})
	.meta({ description: 'How the live index is held to its canaries.' });

export type RawChecks = z.output<typeof checks>;
