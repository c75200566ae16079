"""Amazon Titan Text Embeddings V2 on Bedrock, through boto3.

Credentials and region come from where boto3 looks on the owner's machine (environment, AWS_PROFILE, a machine's role),
never from a page. Titan takes one text per request, so a few requests run side by side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from mrl_viz.embedding.encoders import api
from mrl_viz.embedding.encoders.openai_compatible import split_dimensions
from mrl_viz.errors import ApiError, DimensionError, InvalidInputError, ModelUnavailableError, OptionalDependencyError
from mrl_viz.truncation import FloatMatrix

PIP_COMMAND = "pip install 'boto3>=1.40,<2'"
TITAN_V2 = "amazon.titan-embed-text-v2:0"
TITAN_DIMENSIONS = (256, 512, 1024)
TITAN_MAX_TOKENS = 8192
# Requests at a time: far below an account's usual limits.
CONCURRENCY = 4
TIMEOUT_S, CONNECT_TIMEOUT_S = 60.0, 10.0
RETRIED = frozenset({
    "ThrottlingException", "TooManyRequestsException", "ServiceUnavailableException", "InternalServerException",
    "ModelTimeoutException", "ModelNotReadyException", "RequestTimeout",
})  # fmt: skip
BAD_CREDENTIALS = frozenset({
    "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "ExpiredToken",
    "InvalidClientTokenId", "MissingAuthenticationTokenException", "IncompleteSignature",
})  # fmt: skip
SET_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


@dataclass(frozen=True)
class TitanEncoder(api.ApiEncoder):
    """Titan Text Embeddings V2.

    `full_dim` : the width asked for. `normalize` : unit vectors from the server. `concurrency` : requests at a time.
    """

    full_dim: int
    normalize: bool
    concurrency: int

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        def ask(text: str) -> FloatMatrix:
            return self.backoff.run(lambda: self._request(text), self.name, cancelled)

        with ThreadPoolExecutor(self.concurrency) as pool:
            return np.concatenate(list(pool.map(ask, batch)))

    def _request(self, text: str) -> FloatMatrix:
        """One request, shape (1, full_dim)."""
        from botocore.exceptions import BotoCoreError, ClientError

        body = json.dumps({"inputText": text, "dimensions": self.full_dim, "normalize": self.normalize})

        def call() -> bytes:
            kind = "application/json"
            answer = self.client.invoke_model(modelId=TITAN_V2, body=body, contentType=kind, accept=kind)
            content: bytes = answer["body"].read()
            return content

        data = api.parse_json(self._asked(call, (ClientError, BotoCoreError)))
        return api.check_rows(self.name, [data.get("embedding") if isinstance(data, dict) else None], self.full_dim)

    def _explain(self, error: Any) -> Exception:
        from botocore import exceptions as aws

        if isinstance(error, aws.ConnectionError):
            return self.unreachable()
        if isinstance(error, (aws.HTTPClientError, aws.IncompleteReadError)):
            return api.TransientFailure(f"the connection to {self.host} broke off")
        if not isinstance(error, aws.ClientError):
            return ModelUnavailableError(f"`{self.name}` cannot be asked ({type(error).__name__}); {SET_CREDENTIALS}.")
        refusal, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, status = refusal.get("Code", "unknown"), metadata.get("HTTPStatusCode", 0)
        if code in BAD_CREDENTIALS:
            return ModelUnavailableError(f"AWS refuses the credentials ({code}); {SET_CREDENTIALS}.")
        if code in ("AccessDeniedException", "ResourceNotFoundException"):
            return ModelUnavailableError(
                f"AWS does not let these credentials use `{TITAN_V2}` at {self.host} ({code}); ask for access to "
                "the model, or set AWS_DEFAULT_REGION to a region that offers it."
            )
        if code in RETRIED or status == 429 or status >= 500:
            wait = api.retry_after(metadata.get("HTTPHeaders", {}))
            return api.TransientFailure(f"{code} from {self.host}", retry_after_s=wait)
        message = api.said(refusal.get("Message"))
        return ApiError(f"`{self.name}` refuses a text ({code}{message}); shorten the longest texts.")


def load(
    model: str,
    *,
    normalize: bool = True,
    concurrency: int = CONCURRENCY,
    timeout_s: float = TIMEOUT_S,
    backoff: api.Backoff | None = None,
) -> TitanEncoder:
    """The encoder of Titan Text Embeddings V2; sends nothing yet.

    Parameters
    ----------
    model : "amazon.titan-embed-text-v2:0", or with "@256", "@512" or "@1024" behind it; without, 1024
    normalize : ask for unit vectors
    concurrency : requests at a time, 1 to 64
    timeout_s : seconds without a byte after which a request is made again
    backoff : how patiently failed requests are made again; None for about a minute

    Raises
    ------
    OptionalDependencyError : `boto3` is not installed.
    ModelUnavailableError : another model, no region or no credentials.
    DimensionError : another width. InvalidInputError : `concurrency` is out of range.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise OptionalDependencyError(f"`boto3` is not installed; run `{PIP_COMMAND}`.") from error
    if not 1 <= concurrency <= 64:
        raise InvalidInputError(f"`concurrency` is {concurrency}; choose 1 to 64.")
    name, dimensions = split_dimensions(model)
    if name != TITAN_V2:
        raise ModelUnavailableError(f"`bedrock:{name}` is not supported; choose `bedrock:{TITAN_V2}`.")
    width = TITAN_DIMENSIONS[-1] if dimensions is None else dimensions
    if width not in TITAN_DIMENSIONS:
        raise DimensionError(
            f"`dimensions` is {width} but {TITAN_V2} has 256, 512 or 1024 coordinates; choose one of them."
        )
    api.keep_out_of_logs("botocore")
    problem = None
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION"))
        has_credentials = session.get_credentials() is not None
        client = session.client(
            "bedrock-runtime",
            config=Config(
                retries={"total_max_attempts": 1}, read_timeout=timeout_s, max_pool_connections=concurrency,
                connect_timeout=min(timeout_s, CONNECT_TIMEOUT_S),
            ),
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:
        problem = type(error).__name__
    if problem == "NoRegionError":
        raise ModelUnavailableError(
            "There is no AWS region; set AWS_DEFAULT_REGION to one with Titan, such as us-east-1."
        )
    if problem is not None:
        raise ModelUnavailableError(
            f"The AWS settings of this machine are unusable ({problem}); check the AWS_ variables."
        )
    if not has_credentials and not os.environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        raise ModelUnavailableError(f"There are no AWS credentials; {SET_CREDENTIALS}, in the environment.")
    host = urlsplit(client.meta.endpoint_url).netloc.rpartition("@")[2]
    return TitanEncoder(
        name=f"bedrock:{TITAN_V2}@{width}",
        revision=f"api-{host}-{TITAN_V2}@{width}-{'unit' if normalize else 'raw'}",
        full_dim=width,
        host=host,
        normalize=normalize,
        concurrency=concurrency,
        batch_size=4 * concurrency,
        max_tokens=TITAN_MAX_TOKENS,
        backoff=backoff or api.Backoff(),
        client=client,
    )
