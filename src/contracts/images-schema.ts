import * as z from 'zod';
import type { ImageRules } from '../spec/model.ts';
import { BYTES, integer } from './fields.ts';

const MEDIA_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/heic', 'image/heif'] as const;

/** What clients may show to models. */
export const images = z
	.strictObject({
		count_max: integer(0, 10_000, { description: 'Images in a request; 0 refuses all.' }).default(20),
		bytes_max: integer(1, 268_435_456, {
			description:
				'One image, before it is written as base64. The whole request must fit into `server.body_bytes_max` too.',
			'x-unit': BYTES,
		}).default(5_242_880),
		side_px_max: integer(1, 65_535, {
			description:
				'Its width and its height each, as its header says. Of `image/heic` and `image/heif` nobody looks at it.',
			'x-unit': 'pixels',
		}).default(8_000),
		media_types: z
			.array(z.enum(MEDIA_TYPES))
			.min(1)
			.meta({
				description: 'The kinds that are taken. An image whose bytes are of another kind than it says is refused.',
			})
			.default(['image/png', 'image/jpeg', 'image/gif', 'image/webp']),
		addresses: z
			.enum(['refuse', 'vendors', 'all'])
			.meta({
				description:
					'What becomes of an image of which a client sends the address alone. Plimsoll fetches none. `vendors` passes https addresses on to upstreams on the internet, whose provider fetches them, and refuses them for servers on this machine or in a private network, which a client could make reach into it; `all` passes them on to these too; `refuse` to nobody.',
			})
			.default('vendors'),
	})
	.prefault({})
	.meta({
		description:
			'Images in the requests of clients. What a provider is known to refuse is refused before it is asked, too; see the manual’s page on model families.',
	});

export function imagesOf(raw: z.output<typeof images>): ImageRules {
	return {
		countMax: raw.count_max,
		bytesMax: raw.bytes_max,
		sidePxMax: raw.side_px_max,
		mediaTypes: raw.media_types,
		addresses: raw.addresses,
	};
}
