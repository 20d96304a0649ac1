/**
 * US dollars as written in a file to integer micro-dollars, digit by digit, so that 0.15 is exactly 150,000.
 * Null when the amount is negative, finer than a micro-dollar or too large for exact integer arithmetic.
 */
export function usdToMicros(usd: number): number | null {
	// The shortest text that reads back as the same double is what the author typed, up to 15 digits.
	const parts = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(usd));
	if (!parts) return null;
	const [, whole = '', fraction = '', exponent = '0'] = parts;
	const shift = 6 - fraction.length + Number(exponent);
	const digits = BigInt(whole + fraction);
	if (shift < 0 && digits % 10n ** BigInt(-shift) !== 0n) return null;
	const micros = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
	return micros <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(micros) : null;
}
