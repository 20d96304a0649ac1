/** What says how a family is entered that is neither reached by one key nor by one wire format. */
export type CloudFamily =
	| {
			readonly family: 'vertex';
			/** Null with a key, which belongs to a project. */
			readonly project: string | null;
			readonly region: string;
			/** The JSON of a service account's key; null: a key, or the machine's own account. Never printed or hashed. */
			readonly credentials: string | null;
	  }
	| {
			readonly family: 'bedrock';
			readonly region: string;
			/** Null where a key is enough. Never printed or hashed. */
			readonly signing: {
				readonly accessKeyId: string;
				readonly secretAccessKey: string;
				readonly sessionToken: string | null;
			} | null;
	  }
	| {
			readonly family: 'ai-sdk';
			readonly package: string;
			/** The export that makes a provider; null: the only one whose name begins with `create`. */
			readonly factory: string | null;
			/** Under which the package reads a call's own options. */
			readonly optionsName: string;
			readonly settings: Readonly<Record<string, unknown>>;
	  };

type RawCloud =
	| { family: 'vertex'; project: string | null; region: string; credentials: string | null }
	| ({ family: 'bedrock'; region: string } & RawSigning)
	| {
			family: 'ai-sdk';
			package: string;
			factory: string | null;
			options_name: string | null;
			settings: Readonly<Record<string, unknown>>;
	  };

interface RawSigning {
	access_key_id: string | null;
	secret_access_key: string | null;
	session_token: string | null;
}

/** The same for models and embedders. */
export function cloudFamilyOf(raw: RawCloud): CloudFamily {
	switch (raw.family) {
		case 'vertex':
			return { family: raw.family, project: raw.project, region: raw.region, credentials: raw.credentials };
		case 'bedrock':
			return { family: raw.family, region: raw.region, signing: signingOf(raw) };
		case 'ai-sdk': {
			const optionsName = raw.options_name ?? raw.package.slice(raw.package.lastIndexOf('/') + 1);
			const { factory, settings } = raw;
			return { family: raw.family, package: raw.package, factory, optionsName, settings };
		}
	}
}

/** Null: no access key signs its requests. */
function signingOf(raw: RawSigning) {
	const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = raw;
	return accessKeyId === null || secretAccessKey === null ? null : { accessKeyId, secretAccessKey, sessionToken };
}
