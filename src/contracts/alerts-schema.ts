import * as z from 'zod';
import { ALERT_SEVERITIES } from '../spec/alerts.ts';
import { integer, MILLISECONDS, nameKey, text } from './fields.ts';

const webhook = z
	.strictObject({
		url: text(1, 4_000, {
			description:
				'Where alerts are posted. An address that holds a secret, as Slack’s do, belongs in the environment.',
			examples: [{ env: 'ALERTS_URL' }],
			'x-expected': 'an http or https address',
		}),
		format: z
			.enum(['json', 'slack'])
			.meta({
				description:
					'`json`: the whole alert; `slack`: a text, as incoming webhooks of Slack and of those that copy it take it.',
			})
			.default('json'),
		hmac_secret: text(1, 10_000, {
			description:
				'Signs each delivery in `x-plimsoll-signature`, so that the receiver knows whose it is; by reference only.',
			examples: [{ env: 'ALERTS_SECRET' }],
		})
			.nullable()
			.default(null),
		severity_min: z
			.enum(ALERT_SEVERITIES)
			.meta({ description: 'The mildest that is sent: `ticket` sends all, `page` those that cannot wait.' })
			.default('ticket'),
		private_addresses: z
			.enum(['refuse', 'allow'])
			.meta({ description: 'Whether the address may lead to this machine or a private network.' })
			.default('refuse'),
		timeout_ms: integer(1, 60_000, { description: 'One attempt.', 'x-unit': MILLISECONDS }).default(5_000),
		attempts_max: integer(1, 10, { description: 'Attempts for one delivery, the first one included.' }).default(5),
	})
	.meta({ description: 'One receiver of alerts.' });

/** `alerts` of plimsoll.yaml. */
export const alerts = z
	.strictObject({
		webhooks: z
			.record(nameKey, webhook)
			.meta({
				description: 'Who is told when an alert opens, becomes worse, or is over; by name.',
				'x-expected': 'a mapping of names to webhooks',
				'x-names': ['on-call'],
			})
			.default({}),
	})
	.prefault({})
	.meta({ description: 'Where alerts go beside the log, the records and the metrics.' });

export type RawAlerts = z.output<typeof alerts>;
