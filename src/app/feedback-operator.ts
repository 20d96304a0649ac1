import type { Clock } from '../base/clock.ts';
import type { FeedbackOperator, FeedbackRemoval } from '../gateway/feedback-operator.ts';
import type { RecordStore } from '../spec/records.ts';
import { actorOf } from './actor.ts';
import type { UserHash } from './user-hash.ts';

interface Parts {
	readonly records: RecordStore;
	readonly users: UserHash;
	readonly clock: Clock;
}

/** The operator's part about ratings. */
export function feedbackOperator(parts: Parts): FeedbackOperator {
	return {
		list: (query) => parts.records.feedback.list(query),
		remove: (which, by) => removeFeedback(parts, which, actorOf(by, parts.users)),
	};
}

/** Removes ratings, and says so in the audit log, which does not name the user. */
export async function removeFeedback(
	{ records, users, clock }: Parts,
	{ tenantId, requestId, user }: FeedbackRemoval,
	actor: string,
): Promise<number> {
	const rater = user && users.of(tenantId, user);
	const removed = await records.feedback.remove({ tenantId, requestId, rater });
	await records.putAudit({
		at: clock.now(),
		actor,
		action: 'feedback_deleted',
		subject: requestId ?? rater ?? tenantId,
		tenantId,
		detail: { ratings: removed },
	});
	return removed;
}
