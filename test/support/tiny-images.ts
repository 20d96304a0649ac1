/** Real images of 37 × 21 pixels in base64, as Pillow 12 writes them, and headers of any size. */
export const IMAGES_37_BY_21 = {
	png: 'iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5AAAAJklEQVR4nGPksqlgoCNgoqdlo/aN2jdq36h9o/aN2jdq36h9VAAAmj8A6E6ojbMAAAAASUVORK5CYII=',
	gif: 'R0lGODdhJQAVAIEAAAo8eAAAAAAAAAAAACwAAAAAJQAVAEAILwABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFixgzatzIsaPHjyBDihxJsqRJkgEBADs=',
	webpLossy: 'UklGRkAAAABXRUJQVlA4IDQAAAAwAwCdASolABUAP83m7XA/uDIrJWgD8DmJZwDGuA8KmggAAP7guTZO9LwujGjHZ8nBYAAA',
	webpLossless: 'UklGRh4AAABXRUJQVlA4TBEAAAAvJAAFAAdQnioUr/+BiOh/AAA=',
	webpExtended:
		'UklGRm4AAABXRUJQVlA4WAoAAAAYAAAAJAAAFAAAQUxQSAoAAAABB1CtiAhERP8DVlA4IDQAAAAwAwCdASolABUAP83m7XA/uDIrJWgD8DmJZwDGuA8KmggAAP7guTZO9LwujGjHZ8nBYAAARVhJRgIAAABNTQ==',
	jpeg: '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wAALCAAVACUBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/AJAAAAB//9k=',
	jpegProgressive:
		'/9j/4AAQSkZJRgABAQAAAQABAAD//gAWeHh4eHh4eHh4eHh4eHh4eHh4eHj/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAAVACUBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/2gAIAQEAAAABgAB//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQABBQJ//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQAGPwJ//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQABPyF//9oACAEBAAAAEAAB/8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQABPxB//9k=',
} as const;

/** The header of a PNG of any size, and bytes behind it that are no picture. */
export function pngOf(widthPx: number, heightPx: number, bytes = 100): string {
	const header = Buffer.alloc(Math.max(bytes, 33));
	header.write('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1');
	header.writeUInt32BE(widthPx, 16);
	header.writeUInt32BE(heightPx, 20);
	return header.toString('base64');
}

export function dataUrl(base64: string, mediaType = 'image/png'): string {
	return `data:${mediaType};base64,${base64}`;
}
