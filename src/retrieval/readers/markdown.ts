import type { Nodes, RootContent, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { type Block, type DocumentText, heading, lines, prose, table } from '../document-text.ts';
import { readFrontMatter } from './front-matter.ts';

/** GitHub-flavoured Markdown. The text is kept as it is written; the title is the front matter's or the first top heading. */
export function readMarkdown(text: string, fallbackTitle: string): DocumentText {
	const { bodyStart, title, meta } = readFrontMatter(text);
	const tree = fromMarkdown(text.slice(bodyStart), { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
	const blocks = tree.children.map((node) => toBlock(node, bodyStart));
	const first = blocks.find((block) => block.level === 1)?.heading;
	return { title: title || first?.trim() || fallbackTitle, text, bodyStart, blocks, syntax: null, meta };
}

function toBlock(node: RootContent, offset: number): Block {
	const start = offset + (node.position?.start.offset ?? 0);
	const end = offset + (node.position?.end.offset ?? 0);
	switch (node.type) {
		case 'heading':
			return heading(start, end, node.depth, words(node));
		case 'code':
		case 'html':
			return lines(start, end);
		case 'table':
			return tableBlock(node, offset);
		case 'list':
		case 'listItem':
		case 'blockquote':
		case 'footnoteDefinition':
			return prose(
				start,
				end,
				node.children.length > 1 ? node.children.map((child) => part(child, offset)) : only(node.children, offset),
			);
		default:
			return prose(start, end);
	}
}

/** Rows as parts; the line of dashes belongs to the header. */
function tableBlock({ children, position }: Table, offset: number): Block {
	const at = (point: number | undefined) => offset + (point ?? 0);
	const rows = children.map((row, index) => ({
		start: at(row.position?.start.offset),
		end: at(children[index + 1]?.position?.start.offset ?? position?.end.offset),
	}));
	return table(at(position?.start.offset), at(position?.end.offset), rows, rows[0]?.end ?? null);
}

/** A single child is looked through, so that a list in a quote still falls apart into its items. */
function only(children: readonly RootContent[], offset: number): readonly Block[] {
	const child = children[0];
	return child ? part(child, offset).parts : [];
}

/** Headings inside quotes and lists open no section. */
function part(node: RootContent, offset: number): Block {
	const block = toBlock(node, offset);
	return block.kind === 'heading' ? prose(block.start, block.end) : block;
}

function words(node: Nodes): string {
	if ('value' in node) return node.value;
	if ('alt' in node && node.alt) return node.alt;
	return 'children' in node ? node.children.map(words).join('') : '';
}
