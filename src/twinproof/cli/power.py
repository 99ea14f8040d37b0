"""`twinproof power APP_ID`: who can change what runs as an app, and how fast."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from twinproof.cli.chain_reading import chain_reader, whose_word
from twinproof.cli.chain_settings import address_of, with_flags
from twinproof.cli.configuration import read_configuration
from twinproof.cli.output import style_of
from twinproof.report.power_text import power_json, power_text
from twinproof.sources import clock

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    from twinproof.chain.trusted import TrustedChain
    from twinproof.sources.app_history import read_app_history
    from twinproof.sources.app_power import read_power

    app_id = address_of(arguments.app_id, "APP_ID")
    configuration = read_configuration(arguments.config)
    with chain_reader(with_flags(configuration.chain, arguments), arguments) as reader:
        trusted = configuration.policy.trusted_chain if configuration.policy is not None else TrustedChain()
        read = read_app_history(reader, app_id, known_code=frozenset(trusted.app_implementations))
        age = clock.now() - read.agreement.block.timestamp
        power = replace(read_power(reader, read), age=age, most_age=trusted.max_age)
        whose = whose_word(read.agreement, reader)
        dissent = tuple(sorted({**dict(read.agreement.dissent), **reader.quorum.dissent}.items()))
    if arguments.json:
        block = read.agreement.block.number
        document = power_json(
            power, chain_id=read.chain_id, block=block, whose=whose, proved=reader.proof, dissent=dissent
        )
        print(json.dumps(document, indent=1))
    else:
        print(power_text(power, chain_id=read.chain_id, whose=whose, dissent=dissent, style=style_of()), end="")
    return 0
