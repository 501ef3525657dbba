"""An SMTP server (aiosmtpd) that wants STARTTLS and a password, and fails half of the time.

smtp.py CERT KEY USER PASSWORD SEED RECORD

Prints its port. Of the mails, about a third are refused for now (451), a sixth are taken and recorded but the connection is cut before the
answer; the others are taken. What is taken is one JSON line in RECORD: key (from the header Idempotency-Key), recipient, sha256 of the mail.
"""
import asyncio, hashlib, json, os, random, ssl, sys
from email import message_from_bytes
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

cert, key, user, password, seed, record = sys.argv[1:7]
rng = random.Random(int(seed))
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(cert, key)


def note(line):
    with open(record, "a") as out:
        out.write(json.dumps(line) + "\n")
        out.flush()
        os.fsync(out.fileno())


class Handler:
    async def handle_DATA(self, server, session, envelope):
        if session.ssl is None or not session.authenticated:
            note({"bad": "no TLS or no password"})
            return "530 no"
        mail = message_from_bytes(envelope.content)
        draw = rng.random()
        if draw < 0.34:
            note({"refused": mail["Idempotency-Key"]})
            return "451 try again later"
        cut = draw < 0.5
        digest = hashlib.sha256(envelope.content).hexdigest()
        note({"key": mail["Idempotency-Key"], "body": digest, "to": envelope.rcpt_tos[0], "answered": not cut})
        if cut:
            server.transport.abort()
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good)


async def main():
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(
        Handler(), hostname="localhost", tls_context=tls, require_starttls=True, authenticator=authenticate,
        auth_required=True, auth_require_tls=True, loop=loop,
    )
    server = await loop.create_server(make, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
