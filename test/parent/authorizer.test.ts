import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { repository } from '../helpers/names.ts';
import { account, answerJson, basic, failureOf, withParent, type Script, type Seen } from './scripted-registry.ts';

const plant = repository('plant/hello');
const digestOfNothing = digestOf(Buffer.alloc(0));

/** A registry with a token endpoint; tokens are numbered. `accepts` decides on a request with a token. */
function tokenRegistry(options: {
  readonly accepts?: (authorization: string, seen: Seen) => boolean;
  readonly challenge?: (seen: Seen) => string;
  readonly token?: Script;
}): Script {
  let issued = 0;
  return async (seen, response) => {
    const { url, headers } = seen;
    if (url.pathname === '/token') {
      if (options.token) return options.token(seen, response);
      issued += 1;
      answerJson(response, { token: `t${issued}`, expires_in: 300 });
    } else if (headers.authorization !== undefined && (options.accepts?.(headers.authorization, seen) ?? true)) {
      response.writeHead(200).end();
    } else {
      const realm = `http://${headers.host ?? ''}/token`;
      const challenge =
        options.challenge?.(seen) ?? `Bearer realm="${realm}",service="s",scope="repository:${plant}:pull"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
  };
}

function tokenRequests(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ url }) => url.pathname === '/token');
}

describe('createAuthorizer() through connectParent()', () => {
  it('sends nothing before it is asked, then Basic with every request', async () => {
    const script: Script = ({ headers }, response) => {
      const ok = headers.authorization === basic;
      response.writeHead(ok ? 200 : 401, { 'www-authenticate': 'Basic realm="cloud"' }).end();
    };
    await withParent(script, async ({ parent, seen }) => {
      await parent.ping();
      await parent.ping();
      expect(seen.map(({ headers }) => headers.authorization)).to.deep.equal([undefined, basic, basic]);
    });
  });

  it('names the sync token, and never its password, when it is refused', async () => {
    const script: Script = (_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="cloud"' }).end();
    };
    await withParent(script, async ({ parent, lines }) => {
      const failure = await failureOf(parent.ping());
      expect(failure).to.include({ failure: 'unauthorized', status: 401 });
      expect(failure.message).to.include(account.name).and.not.include(account.password);
      expect(lines).to.have.length(2);
    });
  });

  it('asks for a token with Basic, scope and service', async () => {
    await withParent(tokenRegistry({}), async ({ parent, seen }) => {
      await parent.hasBlob(plant, digestOfNothing);
      const [request] = tokenRequests(seen);
      expect(request?.headers.authorization).to.equal(basic);
      expect(Object.fromEntries(request!.url.searchParams)).to.deep.equal({
        service: 's',
        scope: 'repository:plant/hello:pull,push',
      });
    });
  });

  it('keeps a token until shortly before it ends', async () => {
    await withParent(tokenRegistry({}), async ({ parent, seen, clock }) => {
      for (let count = 0; count < 3; count += 1) await parent.hasBlob(plant, digestOfNothing);
      expect(tokenRequests(seen)).to.have.length(1);
      await clock.advance(269_000);
      await parent.hasBlob(plant, digestOfNothing);
      expect(tokenRequests(seen)).to.have.length(1);
      await clock.advance(2_000);
      await parent.hasBlob(plant, digestOfNothing);
      expect(tokenRequests(seen)).to.have.length(2);
      expect(seen.at(-1)?.headers.authorization).to.equal('Bearer t2');
    });
  });

  it('asks once for many, also when all are refused at once', async () => {
    let valid = 't1';
    await withParent(tokenRegistry({ accepts: (header) => header === `Bearer ${valid}` }), async ({ parent, seen }) => {
      const many = (): Promise<boolean[]> =>
        Promise.all(Array.from({ length: 8 }, () => parent.hasBlob(plant, digestOfNothing)));
      await many();
      expect(tokenRequests(seen)).to.have.length(1);
      valid = 't2';
      expect(await many()).to.deep.equal(Array.from({ length: 8 }, () => true));
      expect(tokenRequests(seen)).to.have.length(2);
    });
  });

  it('gives up after one fresh token', async () => {
    await withParent(tokenRegistry({ accepts: () => false }), async ({ parent, seen }) => {
      expect(await failureOf(parent.hasBlob(plant, digestOfNothing))).to.include({ failure: 'unauthorized' });
      expect(tokenRequests(seen)).to.have.length(1);
      expect(await failureOf(parent.hasBlob(plant, digestOfNothing))).to.include({ failure: 'unauthorized' });
      expect(tokenRequests(seen)).to.have.length(2);
    });
  });

  it('calls a token that is too weak a matter of rights', async () => {
    const challenge = ({ headers }: Seen): string =>
      `Bearer realm="http://${headers.host ?? ''}/token",service="s",error="insufficient_scope"`;
    await withParent(tokenRegistry({ accepts: () => false, challenge }), async ({ parent }) => {
      expect(await failureOf(parent.hasBlob(plant, digestOfNothing))).to.include({ failure: 'denied', status: 401 });
    });
  });

  it('takes the scope the parent names, and asks for it at once the next time', async () => {
    const challenge = ({ headers }: Seen): string =>
      `Bearer realm="http://${headers.host ?? ''}/token",service="s",scope="repository:${plant}:metadata_read"`;
    await withParent(tokenRegistry({ challenge }), async ({ parent, seen, clock }) => {
      await parent.hasBlob(plant, digestOfNothing);
      await clock.advance(400_000);
      await parent.hasBlob(plant, digestOfNothing);
      expect(tokenRequests(seen).map(({ url }) => url.searchParams.get('scope'))).to.deep.equal([
        `repository:${plant}:metadata_read`,
        `repository:${plant}:metadata_read`,
      ]);
      expect(seen).to.have.length(5);
    });
  });

  it('uses the password grant where the token endpoint does not take GET', async () => {
    const token: Script = ({ method, body }, response) => {
      const form = new URLSearchParams(body.toString());
      if (method !== 'POST' || form.get('password') !== account.password) response.writeHead(405).end();
      else answerJson(response, { access_token: `for-${form.get('username')}-${form.get('grant_type')}` });
    };
    await withParent(tokenRegistry({ token }), async ({ parent, seen }) => {
      await parent.hasBlob(plant, digestOfNothing);
      expect(seen.at(-1)?.headers.authorization).to.equal('Bearer for-plant7-password');
    });
  });

  it('says so when the token endpoint refuses the password', async () => {
    const token: Script = (_, response) => {
      response.writeHead(401).end();
    };
    await withParent(tokenRegistry({ token }), async ({ parent }) => {
      const failure = await failureOf(parent.ping());
      expect(failure.failure).to.equal('unauthorized');
      expect(failure.message).to.include(account.name).and.not.include(account.password);
    });
  });

  it('waits and asks again when the token endpoint is throttled', async () => {
    let count = 0;
    const token: Script = (_, response) => {
      count += 1;
      if (count === 1) response.writeHead(429, { 'retry-after': '7' }).end();
      else answerJson(response, { token: 'late' });
    };
    await withParent(tokenRegistry({ token }), async ({ parent, clock }) => {
      const pinged = parent.ping();
      await clock.sleeping();
      expect(clock.nextWait).to.equal(7000);
      await clock.advance(7000);
      await pinged;
      expect(count).to.equal(2);
    });
  });

  for (const realm of ['http://elsewhere.example/token', 'ftp://127.0.0.1/token', 'http://[']) {
    it(`does not send the password to ${realm}`, async () => {
      await withParent(tokenRegistry({ challenge: () => `Bearer realm="${realm}"` }), async ({ parent, seen }) => {
        expect(await failureOf(parent.ping())).to.include({ failure: 'refused' });
        expect(seen).to.have.length(1);
      });
    });
  }

  it('lets one of many stop waiting for the token', async () => {
    const answers: (() => void)[] = [];
    const token: Script = (_, response) => {
      answers.push(() => answerJson(response, { token: 'slow' }));
      if (answers.length === 1) asked();
    };
    let asked = (): void => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    await withParent(tokenRegistry({ token }), async ({ parent, seen }) => {
      const abort = new AbortController();
      const impatient = parent.hasBlob(plant, digestOfNothing, { signal: abort.signal });
      await isAsked;
      const patient = parent.hasBlob(plant, digestOfNothing);
      abort.abort(new Error('stop'));
      expect(await impatient.catch((error: unknown) => (error as Error).message)).to.equal('stop');
      answers[0]!();
      expect(await patient).to.equal(true);
      expect(tokenRequests(seen)).to.have.length(1);
    });
  });
});
