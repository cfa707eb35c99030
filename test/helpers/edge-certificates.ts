import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A certificate with its key, both PEM. `cert` is the chain a server shows: the leaf, then its issuers without the root. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
  readonly expiration: Date;
}

/** What an IoT Edge device has: a root it trusts, an Edge CA below it, certificates below that. */
export interface EdgeCertificates {
  /** The root alone, PEM: what the workload API calls the trust bundle. */
  readonly trustBundle: string;
  /** `names` are DNS names or IP addresses; the first is the common name. RSA-2048 as the daemon makes them, or P-256. */
  issueServer(names: readonly string[], options?: { readonly rsa?: boolean }): Promise<IssuedCertificate>;
}

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const rsaKeys = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};
const dayMs = 86_400_000;
const { KeyUsageFlags } = x509;

export async function createEdgeCertificates(): Promise<EdgeCertificates> {
  const root = await createAuthority('CN=test root CA');
  const edgeCa = await createAuthority('CN=aziot-edge CA edge-device', root);
  return {
    trustBundle: root.certificate.toString('pem') + '\n',

    async issueServer(names, options = {}) {
      const keys = await (options.rsa ? generate(rsaKeys) : generate(ecdsa));
      const expiration = new Date(Date.now() + 30 * dayMs);
      const certificate = await issue(`CN=${names[0] ?? 'localhost'}`, keys, edgeCa, expiration, [
        new x509.BasicConstraintsExtension(false),
        new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }) as const),
        ),
      ]);
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
      return {
        cert: `${certificate.toString('pem')}\n${edgeCa.certificate.toString('pem')}\n`,
        key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
        expiration: certificate.notAfter,
      };
    },
  };
}

async function createAuthority(name: string, issuer?: Authority): Promise<Authority> {
  const keys = await generate(ecdsa);
  const certificate = await issue(name, keys, issuer, new Date(Date.now() + 365 * dayMs), [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]);
  return { certificate, keys };
}

async function issue(
  subject: string,
  keys: CryptoKeyPair,
  issuer: Authority | undefined,
  notAfter: Date,
  extensions: x509.Extension[],
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: ecdsa,
    notBefore: new Date(Date.now() - dayMs),
    notAfter,
    extensions: [...extensions, await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
}

async function generate(algorithm: typeof ecdsa | typeof rsaKeys): Promise<CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}
