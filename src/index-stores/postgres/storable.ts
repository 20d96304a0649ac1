/** As text is stored: PostgreSQL knows neither halves of surrogate pairs nor U+0000. Lengths stay. */
export function storable<T>(value: T): T | string {
	return typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\uFFFD') : value;
}
