"""A real mail server (aiosmtpd) for the tests: TLS and a login are required, and each message is judged by Python.

It prints one JSON object a line: first {"port": ...}, then each message that it has taken, as Python's `email` package
(policy `default`, which knows today's RFCs) reads it, with the defects that it finds. It ends when its input ends.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import pathlib
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# What aiosmtpd thinks of its own insides, and of a login without TLS, is no news here.
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--certificate", help="PEM file: certificate chain")
arguments.add_argument("--key", help="PEM file: its private key")
arguments.add_argument("--tls", choices=["starttls", "wrapper", "none"], default="starttls")
arguments.add_argument("--login", default="ipn-router:s3cret", metavar="NAME:PASSWORD")
arguments.add_argument("--refuse", action="append", default=[], metavar="ADDRESS", help="550 to this recipient")
arguments.add_argument("--busy", type=int, default=0, metavar="N", help="451 to the first N messages")
arguments.add_argument("--folder", type=pathlib.Path, help="keep each message there, as N.eml")
options = arguments.parse_args()


def say(**facts):
    print(json.dumps(facts), flush=True)


class Mailbox:
    """Takes messages, and says what is in them."""

    def __init__(self):
        self.busy = options.busy
        self.taken = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in options.refuse:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.busy > 0:
            self.busy -= 1
            return "451 4.3.0 try again later"
        self.taken += 1
        if options.folder:
            (options.folder / f"{self.taken}.eml").write_bytes(envelope.content)
        say(tls=session.ssl is not None or options.tls == "wrapper", login=session.authenticated, **read(envelope))
        return "250 OK"


def read(envelope):
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    defects = [*message.defects, *(defect for value in message.values() for defect in value.defects)]
    head = envelope.content.partition(b"\r\n\r\n")[0]
    return {
        "to": envelope.rcpt_tos,
        "headers": {name.lower(): str(value) for name, value in message.items()},
        "names": [name.lower() for name in message.keys()],
        "text": message.get_content().replace("\r\n", "\n"),
        "defects": [repr(defect) for defect in defects],
        "longest_header_line": max(len(line) for line in head.split(b"\r\n")),
        "bare_line_ends": envelope.content.replace(b"\r\n", b"").count(b"\n"),
    }


def authenticate(server, session, envelope, mechanism, login):
    name, _, password = options.login.partition(":")
    expected = LoginPassword(name.encode(), password.encode())
    return AuthResult(success=login == expected, handled=False)


async def main():
    tls = None
    if options.tls != "none":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate, options.key)
    mailbox = Mailbox()

    def session():
        return SMTP(
            mailbox,
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=tls if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            auth_required=True,
            auth_require_tls=options.tls == "starttls",
            authenticator=authenticate,
        )

    wrapper = tls if options.tls == "wrapper" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=wrapper)
    say(port=server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
