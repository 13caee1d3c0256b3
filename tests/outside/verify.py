"""Judges what shops get as their own software would.

Reads one JSON object a line: {"rendition", "shop", "headers", "body", "key", "hash", "event_secrets"}; writes
one JSON object a line: {"accepted": bool, "reason": str}.
"""

import hashlib
import hmac
import json
import logging
import sys
from urllib.parse import parse_qs

import eopayment
import standardwebhooks


class Refused(Exception):
    """A shop would not believe this."""


def gateway_form(case):
    """Asks eopayment, which whole towns take payments with."""
    backend = eopayment.Payment(
        "systempayv2",
        {
            "vads_site_id": case["shop"],
            "secret_test": case["key"],
            "secret_production": case["key"],
            "signature_algo": {"HMAC-SHA-256": "hmac_sha256", "SHA-1": "sha1"}[case["hash"]],
        },
    )
    response = backend.response(case["body"])
    if not response.signed:
        raise Refused("eopayment: signature")
    if response.bank_data["vads_site_id"] != case["shop"]:
        raise Refused("eopayment: another shop's")


def gateway_rest(case):
    """Follows the gateway's documentation, once to the letter and once as its libraries do.

    These replace an escaped slash by a plain one before they check; who follows the letter does not. What was signed
    anew must be right for both; what is passed on as received, for the one that the sender had in mind.
    """
    fields = {name: values[0] for name, values in parse_qs(case["body"], True, True).items()}
    if (fields["kr-hash-key"], fields["kr-hash-algorithm"]) != ("password", "sha256_hmac"):
        raise Refused("REST: neither key nor algorithm of a notification")
    answer = fields["kr-answer"]
    accepted = []
    for text in answer, answer.replace("\\/", "/"):
        expected = hmac.new(case["key"].encode(), text.encode(), hashlib.sha256).hexdigest()
        accepted.append(hmac.compare_digest(expected, fields["kr-hash"]))
    if not (any(accepted) if case["rendition"] == "rest" else all(accepted)):
        raise Refused(f"REST: signature to the letter and with plain slashes: {accepted}")
    content = json.loads(answer)
    for part in [content, *content["transactions"]]:
        if part["shopId"] != case["shop"]:
            raise Refused("REST: another shop's")


def standard_webhook(case):
    """Asks Standard Webhooks' own library, with each secret alone, as during a change of secrets."""
    is_event = case["rendition"] == "event"
    for secret in case["event_secrets"]:
        webhook = standardwebhooks.Webhook(secret)
        webhook.verify(case["body"], case["headers"], json_parse=is_event)


def judge(case):
    if "form" in case["rendition"]:
        gateway_form(case)
    if "rest" in case["rendition"]:
        gateway_rest(case)
    standard_webhook(case)


def main():
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        case = json.loads(line)
        try:
            judge(case)
            verdict = {"accepted": True, "reason": ""}
        except (Refused, eopayment.ResponseError, standardwebhooks.WebhookVerificationError) as refusal:
            verdict = {"accepted": False, "reason": f"{type(refusal).__name__}: {refusal}"}
        print(json.dumps(verdict), flush=True)


if __name__ == "__main__":
    main()
