import type { PlainRoute } from './route.ts';

/** What this deployment is, to be compared with another one. */
export const DESCRIPTION_ROUTES: readonly PlainRoute[] = [
	{
		method: 'GET',
		path: '/admin/description',
		scope: 'admin',
		traced: false,
		summary:
			'What this deployment is, to be compared with another: version, releases, upstreams, embedders, and what is live of each collection.',
		body: null,
		handle: ({ parts }) => parts.operator.describe(),
	},
];
