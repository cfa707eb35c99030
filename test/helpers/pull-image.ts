import { createHash } from 'node:crypto';

export interface Account {
  readonly name: string;
  readonly password: string;
}

export interface PulledImage {
  readonly digest: string;
  readonly mediaType: string;
  /** Of what the reference named, as it came. */
  readonly manifest: Buffer;
  /** Every manifest and blob that was fetched and matched its digest. */
  readonly contents: ReadonlySet<string>;
  readonly bytes: number;
}

interface Document {
  readonly mediaType?: string;
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
}

const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/**
 * Pulls an image with everything in it, as a plain client of the registry API does: independent of the product's
 * own client, so that it can judge it. Throws on any status but 200 and on content that does not match its digest.
 */
export async function pullImage(
  url: string,
  account: Account,
  repository: string,
  reference: string,
): Promise<PulledImage> {
  const authorization = await authorize(url, account, repository);
  const contents = new Set<string>();
  let bytes = 0;

  async function fetchContent(
    kind: 'manifests' | 'blobs',
    name: string,
  ): Promise<{ body: Buffer; digest: string; mediaType: string }> {
    const response = await fetch(`${url}/v2/${repository}/${kind}/${name}`, { headers: { authorization, accept } });
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`GET ${kind}/${name}: ${response.status} ${body.toString()}`);
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    if (name.includes(':') && name !== digest) throw new Error(`${kind}/${name} has the digest ${digest}`);
    bytes += contents.has(digest) ? 0 : body.length;
    contents.add(digest);
    return { body, digest, mediaType: response.headers.get('content-type') ?? '' };
  }

  async function fetchImage(name: string): Promise<{ body: Buffer; digest: string; mediaType: string }> {
    const { body, digest, mediaType } = await fetchContent('manifests', name);
    const document = JSON.parse(body.toString()) as Document;
    for (const child of document.manifests ?? []) await fetchImage(child.digest);
    const blobs = [...(document.config ? [document.config] : []), ...(document.layers ?? [])];
    for (const blob of blobs) await fetchContent('blobs', blob.digest);
    return { body, digest, mediaType };
  }

  const { body: manifest, digest, mediaType } = await fetchImage(reference);
  return { digest, mediaType, manifest, contents, bytes };
}

/** The digest a tag points at; undefined when the registry answers 404. */
export async function digestOfTag(
  url: string,
  account: Account,
  repository: string,
  tag: string,
): Promise<string | undefined> {
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { authorization: await authorize(url, account, repository), accept },
  });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw new Error(`HEAD manifests/${tag}: ${response.status}`);
  return response.headers.get('docker-content-digest') ?? undefined;
}

/** Answers the registry's challenge: a bearer token for `actions` in `repository`, or Basic. */
export async function authorize(url: string, account: Account, repository: string, actions = 'pull'): Promise<string> {
  const basic = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;
  const response = await fetch(`${url}/v2/`);
  await response.arrayBuffer();
  const challenge = response.headers.get('www-authenticate') ?? '';
  const realm = /^Bearer .*realm="([^"]*)"/i.exec(challenge)?.[1];
  if (realm === undefined) return basic;
  const service = /service="([^"]*)"/.exec(challenge)?.[1] ?? '';
  const query = new URLSearchParams({ service, scope: `repository:${repository}:${actions}` });
  const answer = await fetch(`${realm}?${query.toString()}`, { headers: { authorization: basic } });
  if (answer.status !== 200) throw new Error(`token endpoint: ${answer.status} ${await answer.text()}`);
  return `Bearer ${((await answer.json()) as { access_token: string }).access_token}`;
}
