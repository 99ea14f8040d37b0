// Runs the official client against the socket in argv[2] and prints what it gives, as one JSON object.
import { DstackClient } from '@phala/dstack-sdk'

const client = new DstackClient(process.argv[2])
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const data = Buffer.from('0102', 'hex')

const quote = await client.getQuote(data)
const key = await client.getKey('a/path', 'a purpose')
const ed25519 = await client.getKey('a/path', 'a purpose', 'ed25519')
const tls = await client.getTlsKey({ subject: 'localhost', usageRaTls: true })
const info = await client.info()
const attested = await client.attest(data)
const signed = await client.sign('ed25519', data)
const verified = await client.verify('ed25519', data, signed.signature, signed.public_key)
const version = await client.version()
const reachable = await client.isReachable()
// Its Content-Length counts characters, so this body arrives cut short: an answer has to come at once all the same.
const started = Date.now()
const nonAscii = await client.getKey('t\u00f6y', 'a purpose').then(() => 'answered', (error) => error.constructor.name)
const nonAsciiSeconds = (Date.now() - started) / 1000

process.stdout.write(JSON.stringify({
  quote: quote.quote,
  event_log: quote.event_log,
  key: hex(key.key),
  chain: key.signature_chain.map(hex),
  printed_key: JSON.stringify(key),
  printed_signature: JSON.stringify(signed),
  ed25519: hex(ed25519.key),
  tls: tls.certificate_chain.length,
  compose_hash: info.compose_hash,
  app_compose: info.tcb_info.app_compose,
  attestation: typeof attested.attestation === 'string' ? attested.attestation : hex(attested.attestation),
  verified: verified.valid,
  version: version.version,
  reachable,
  app_name: info.app_name,
  signature: hex(signed.signature),
  public_key: hex(signed.public_key),
  non_ascii: nonAscii,
  non_ascii_seconds: nonAsciiSeconds
}))
