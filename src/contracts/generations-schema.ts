import * as z from 'zod';
import { integer } from './fields.ts';

/** How long a collection's index generations are kept. */
export const generations = z
	.strictObject({
		keep: integer(0, 100, {
			description: 'How many generations that were live are kept, to roll back to.',
			'x-unit': 'generations',
		}).default(3),
	})
	.prefault({})
	.meta({ description: 'Which builds of the index are kept.' });
