"""An SMTP server (aiosmtpd) that behaves as the subject of a mail's first word after "mode:" asks, or as MODE says.

smtp_modes.py MODE SECURITY CERT KEY USER PASSWORD RECORD

Prints its port. SECURITY: starttls, tls (from the first byte) or none. MODE: ok; hang (takes the mail and never answers); greylist (450 to the
recipient); busy (421 to the mail); full (552 to the mail); unknown (550 to the recipient); mute (accepts connections and says nothing);
forgetful (advertises STARTTLS and answers 454 to it). What is taken is one JSON line in RECORD, as Python's e-mail package reads it.
"""
import asyncio, json, os, ssl, sys
from email import message_from_bytes, policy
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, security, cert, key, user, password, record = sys.argv[1:8]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(cert, key)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode in ("greylist", "unknown"):
            return "450 greylisted" if mode == "greylist" else "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        if mode == "hang":
            await asyncio.sleep(3600)
        if mode in ("busy", "full"):
            return "421 busy" if mode == "busy" else "552 mailbox full"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        line = {
            "tls": session.ssl is not None or security == "tls",
            "login": bool(session.authenticated),
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "names": [name.lower() for name in mail.keys()],
            "charset": mail.get_content_charset(),
            "encoding": mail["Content-Transfer-Encoding"],
            "text": mail.get_content(),
            "longest": max(len(l) for l in envelope.content.split(b"\r\n")),
            "bare": b"\n" in envelope.content.replace(b"\r\n", b""),
        }
        with open(record, "a") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())
        return "250 taken"


class Server(SMTP):
    async def smtp_STARTTLS(self, arg):
        if mode == "forgetful":
            await self.push("454 TLS not available")
        else:
            await super().smtp_STARTTLS(arg)


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    # Not handled: aiosmtpd is to answer 535 itself.
    return AuthResult(success=good, handled=False)


async def mute(reader, writer):
    await asyncio.sleep(3600)


async def main():
    loop = asyncio.get_running_loop()
    wants = dict(authenticator=authenticate, auth_required=True) if user else {}
    if security == "starttls":
        wants |= dict(tls_context=tls, require_starttls=True)
    make = lambda: Server(Handler(), hostname="localhost", auth_require_tls=security == "starttls", loop=loop, **wants)
    if mode == "mute":
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
    else:
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls if security == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
