import type { AdmissionView } from '../runtime/runtime.ts';
import { callerOf, type Exchange, type Route } from './route.ts';

/** Who runs and who waits, for operators. */
export const ADMISSION_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/admission',
		scope: 'read',
		traced: false,
		summary:
			'How many requests run and wait, by tenant and priority, and how many may run now. A key with the scope admin sees the server and every tenant, any other key its own tenant.',
		body: null,
		handle: showAdmission,
	},
];

function showAdmission(exchange: Exchange): unknown {
	const caller = callerOf(exchange);
	const { admission } = exchange.parts.runtime;
	return admissionRow(admission, caller.scopes.includes('admin') ? null : caller.tenantId);
}

/** Admission as clients see it; of one tenant alone, or of the whole server when null. */
function admissionRow(view: AdmissionView, tenantId: string | null) {
	const { limit, max, running, queued, bufferedBytes, bufferedBytesMax } = view;
	return {
		server:
			tenantId === null
				? {
						limit,
						limit_max: max,
						running,
						queued,
						buffered_bytes: bufferedBytes,
						buffered_bytes_max: bufferedBytesMax,
					}
				: null,
		tenants: view.tenants
			.filter((tenant) => tenantId === null || tenant.tenantId === tenantId)
			.map((tenant) => ({ tenant: tenant.tenantId, running: tenant.running, queued: tenant.queued })),
	};
}
