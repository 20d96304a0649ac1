import * as z from 'zod';
import { integer } from './fields.ts';

/** `feedback` of plimsoll.yaml. */
export const feedback = z
	.strictObject({
		retention_days: integer(1, 3_650, { description: 'Older ratings are removed.', 'x-unit': 'days' }).default(365),
		text_retention_days: integer(0, 3_650, {
			description:
				'How long the texts of a rating are kept: its comment, the question and the corrected answer, which may name people. 0: they are never stored. Never longer than the rating.',
			'x-unit': 'days',
		}).default(0),
	})
	.prefault({})
	.meta({ description: 'Ratings of answers, and how long they are kept.' });
