import type { Rating } from '../spec/feedback.ts';

/** What a score from 0 to 1 comes to. */
export function ratingOf(score: number): Rating {
	if (score === 0.5) return 'neutral';
	return score > 0.5 ? 'up' : 'down';
}
