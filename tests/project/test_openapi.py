"""No request that the API's own document allows, or forbids, makes the server fail."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from tests import factories
from tests.server import Server


def test_no_operation_answers_500(server: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")
    headers = {"Authorization": f"Bearer {server.tokens['alice']}"}
    with server.client(server.tokens["alice"]) as client:
        made = client.post("/api/share", json={"sessionID": "ses_1"}).json()
        body = {"secret": made["secret"], "data": factories.conversation()}
        client.post(f"/api/share/{made['id']}/sync", json=body)
        session_id = client.get("/api/sessions").json()["items"][0]["id"]

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            if case.path_parameters and case.method != "DELETE":
                case.path_parameters["session_id"] = session_id
            response = case.call(headers=headers)
            case.validate_response(response, checks=[not_a_server_error])

        check()
