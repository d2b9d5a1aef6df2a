"""Every class of attacks on servers of its kind that is known, and where it is shown to fail.

The classes are those that security bulletins and fixes of Triton tell of. A test is named by its
file, or by file and function; those of the engine by file and ``Suite.Test``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttackClass:
    """One class.

    Attributes:
        what: is tried.
        tests: that show it refused.
        without: what of it there is nothing to attack by, and why.
    """

    what: str
    tests: tuple[str, ...] = ()
    without: str = ""


CLASSES = {
    1: AttackClass(
        "files of a load that lead out of the model's folder",
        (
            "tests/attacks/test_repository.py::test_a_file_is_written_nowhere_else",
            "tests/attacks/test_repository.py::test_a_link_of_the_repository_is_not_written_through",
            "core/tests/test_overrides.py::test_a_path_that_cannot_be_is_refused",
            "tests/attacks/test_grpc.py::test_files_of_a_load_stay_in_the_model",
        ),
    ),
    2: AttackClass(
        "names of models that are paths, commands, or too long",
        (
            "tests/attacks/test_repository.py::test_a_name_is_only_a_name",
            "tests/attacks/test_repository.py::test_a_model_without_a_name_has_no_route",
            "core/tests/test_control.py::test_odd_names_change_nothing",
            "core/tests/test_control.py::test_names_beyond_ascii_change_nothing",
            "tests/attacks/test_grpc.py::test_names_of_models_that_lead_elsewhere",
        ),
        "No process is started for a model, so that there is no command line.",
    ),
    3: AttackClass(
        "files that a configuration names outside of the model's folder",
        (
            "tests/attacks/test_repository.py::test_a_configuration_names_nothing_outside_of_its_folder",
            "tests/attacks/test_repository.py::test_labels_are_not_read_through_a_link",
            "tests/attacks/test_repository.py::test_a_parameter_that_is_a_path_to_triton_is_a_text",
            "core/tests/test_config_validate.py::test_a_problem_names_its_field",
        ),
        "Archives: none is ever unpacked. Warm-up, initial states, agents, and libraries that a"
        " configuration names: refused, as they are not there yet.",
    ),
    4: AttackClass(
        "traversal by URLs of SageMaker and MLflow, and by --model-config-name",
        ("tests/attacks/test_repository.py::test_a_name_of_configurations_is_a_name",),
        "SageMaker, Vertex and MLflow: there are no routes and plugins for them.",
    ),
    5: AttackClass(
        "files of log and traces that clients choose",
        (
            "tests/attacks/test_settings.py::test_no_file_is_chosen_by_a_client",
            "tests/attacks/test_settings.py::test_settings_that_cannot_be",
            "core/tests/test_control_logging.py::test_what_cannot_be_changes_nothing_of_the_document",
            "core/tests/test_control_trace.py::test_what_cannot_be_changes_nothing_of_the_document",
            "tests/attacks/test_grpc.py::test_no_file_is_chosen_by_a_client",
        ),
    ),
    6: AttackClass(
        "lines of the log that clients forge",
        (
            "tests/attacks/test_text.py::test_no_line_of_the_log_is_forged",
            "tests/attacks/test_text.py::test_no_answer_is_split",
            "tests/e2e/test_logs.py::test_nothing_from_outside_forges_a_line",
            "tests/e2e/test_tracebacks.py::test_a_name_from_a_client_cannot_forge_a_line",
            "cpp/base/log_test.cc::LogQuoted.WritesOutWhatASeeingReaderWouldMiss",
        ),
    ),
    7: AttackClass(
        "regions of shared memory that are none, elsewhere, cut short, or very many",
        (
            "tests/attacks/test_shared_memory.py::test_a_key_that_is_no_object",
            "tests/attacks/test_shared_memory.py::test_something_else_in_the_place_of_an_object",
            "tests/attacks/test_shared_memory.py::test_a_place_that_is_not_in_the_object",
            "tests/attacks/test_shared_memory.py::test_refusals_leave_no_descriptors_and_regions_are_few",
            "tests/attacks/test_shared_memory.py::test_an_object_that_shrinks_is_an_error_and_no_signal",
            "tests/attacks/test_shared_memory.py::test_regions_come_and_go_while_they_are_used",
            "tests/e2e/test_shared_memory.py::test_by_default_nothing_can_be_lent",
            "cpp/memory/shared_regions_test.cc::SharedRegionsTest.UnregisteringWaitsForTheLastUser",
            "cpp/memory/shared_regions_test.cc::SharedRegionsTest.ThereIsALimit",
        ),
        "Memory of Python backends: they have none, they are threads of the server. Objects of"
        " other processes can be registered, as in Triton, where --allow-client-shm says so.",
    ),
    8: AttackClass(
        "tensors that reach beyond their region, over each other, or change while they are read",
        (
            "tests/attacks/test_shared_memory.py::test_a_tensor_reaches_no_further_than_its_region",
            "tests/attacks/test_shared_memory.py::test_an_output_over_its_input",
            "tests/attacks/test_shared_memory.py::test_lengths_that_change_while_they_are_read",
            "cpp/protocol/infer_shared_test.cc::InferSharedTest.WhatDoesNotNameAPlaceIsRefused",
            "cpp/protocol/infer_shared_test.cc::InferSharedTest.ARegionThatShrinksBetweenIsAnError",
        ),
    ),
    9: AttackClass(
        "errors that tell paths, addresses and names of inside",
        (
            "tests/attacks/test_text.py::test_an_error_of_a_python_backend_shows_nothing_of_inside",
            "tests/attacks/test_text.py::test_an_error_of_what_a_client_brings_shows_nothing_of_inside",
            "tests/attacks/test_text.py::test_an_error_of_shared_memory_names_what_the_client_said",
        ),
        "On purpose: who may load models is told the file, line and column of a mistake in the"
        " repository (--http-restricted-api keeps others away).",
    ),
    10: AttackClass(
        "chunks without end, framing of two meanings, clients that never finish",
        (
            "tests/attacks/test_framing.py::test_chunks_without_end",
            "tests/attacks/test_framing.py::test_three_million_chunks_of_a_byte",
            "tests/attacks/test_framing.py::test_framing_that_could_be_read_in_two_ways",
            "tests/attacks/test_framing.py::test_a_trailer_is_no_header",
            "tests/attacks/test_framing.py::test_those_who_never_finish_hold_nobody",
            "tests/attacks/test_framing.py::test_a_thousand_pipelined_requests",
            "tests/protocol/test_http_limits.py::test_a_trickle_of_bytes_does_not_hold_a_connection",
            "tests/protocol/test_http_crowds.py::test_a_thousand_clients_hold_little",
            "cpp/http/session_test.cc::SessionTest.RejectsFramingThatCannotBeTrusted",
            "cpp/http/session_test.cc::SessionTest.BoundsTheFramingOfAChunk",
        ),
    ),
    11: AttackClass(
        "lengths of the JSON part that lie",
        (
            "tests/attacks/test_framing.py::test_a_length_of_the_json_part_that_cannot_be",
            "tests/attacks/test_framing.py::test_the_length_of_the_json_part_is_said_once",
            "tests/protocol/test_http_messages.py::test_a_header_length_that_lies_is_refused",
            "tests/protocol/test_compression.py::test_a_json_size_that_cannot_be_is_refused",
            "cpp/protocol/infer_binary_test.cc::ParseJsonSizeTest.RefusesWhatIsNoSizeOfThatBody",
        ),
    ),
    12: AttackClass(
        "JSON that is deep, huge, doubled, or none",
        (
            "tests/attacks/test_tensors.py::test_a_document_that_makes_no_sense",
            "tests/attacks/test_framing.py::test_framing_that_could_be_read_in_two_ways",
            "tests/protocol/test_infer_requests.py::test_malformed_json",
            "tests/protocol/test_infer_requests.py::test_a_duplicate_member_is_refused",
            "core/tests/test_control.py::test_a_body_that_makes_no_sense_is_refused",
        ),
    ),
    13: AttackClass(
        "shapes that overflow, or expand a small request to a huge tensor",
        (
            "tests/attacks/test_tensors.py::test_a_shape_takes_no_memory",
            "tests/protocol/test_infer_requests.py::test_members_that_are_wrong",
            "tests/protocol/test_infer_requests.py::test_binary_tensors_that_are_not_what_is_said_of_them",
            "cpp/protocol/infer_json_test.cc::InferJsonTest.RefusesShapes",
            "cpp/protocol/infer_json_test.cc::InferJsonTest.TakesNoMemoryForAShapeThatItsDataDoesNotFill",
        ),
    ),
    14: AttackClass(
        "compressed bodies that unfold into gigabytes, are cut off, or something else",
        (
            "tests/attacks/test_framing.py::test_compressed_bodies_that_are_wrong",
            "tests/protocol/test_compression.py::test_a_bomb_is_refused_and_takes_no_memory",
            "tests/protocol/test_compression.py::test_bombs_at_a_time_are_held_by_the_budget",
            "tests/protocol/test_compression.py::test_what_is_refused",
            "cpp/http/session_compression_test.cc::SessionCompressionTest.RefusesABombWithoutReadingAllOfIt",
        ),
    ),
    15: AttackClass(
        "lengths of elements of BYTES tensors that lie",
        (
            "tests/attacks/test_tensors.py::test_lengths_of_elements_wherever_buffers_end",
            "tests/attacks/test_shared_memory.py::test_lengths_that_change_while_they_are_read",
            "tests/protocol/test_infer_requests.py::test_bytes_tensors_that_do_not_hold_their_elements",
        ),
    ),
    16: AttackClass(
        "outputs and classes without number, or of what has none",
        (
            "tests/attacks/test_tensors.py::test_outputs_that_cannot_be",
            "tests/attacks/test_tensors.py::test_more_classes_than_memory_holds",
            "tests/protocol/test_infer_requests.py::test_classes_of_a_datatype_that_has_none",
            "cpp/protocol/classification_test.cc::ClassificationTest.RefusesHugeTensors",
        ),
    ),
    17: AttackClass(
        "parameters that are reserved, without number, or of a wrong type",
        (
            "tests/attacks/test_tensors.py::test_parameters_that_cannot_be",
            "tests/attacks/test_tensors.py::test_a_header_is_no_reserved_parameter",
            "tests/attacks/test_tensors.py::test_very_many_parameters_are_gone_with_their_request",
            "tests/protocol/test_header_forwarding.py::test_reserved_names_are_refused",
        ),
        "Correlation of sequences: the sequence batcher is not there yet.",
    ),
    18: AttackClass(
        "messages of gRPC that lie or are cut off, calls that are given up, frames without number",
        (
            "tests/attacks/test_grpc.py::test_tensors_that_cannot_be",
            "tests/attacks/test_grpc.py::test_a_message_that_is_cut_off_at_any_byte",
            "tests/attacks/test_grpc.py::test_a_message_with_any_byte_changed",
            "tests/attacks/test_grpc.py::test_messages_that_are_none",
            "tests/attacks/test_grpc.py::test_a_call_that_is_given_up_at_each_of_its_bytes",
            "tests/attacks/test_grpc.py::test_calls_that_are_given_up_while_they_run",
            "tests/attacks/test_grpc.py::test_calls_whose_time_is_over_at_once",
            "tests/attacks/test_grpc.py::test_health_is_not_what_a_client_says",
            "tests/protocol/test_http2_conformance.py::test_a_fault_is_answered_as_the_rfc_says",
            "tests/protocol/test_http2_floods.py::test_a_flood_is_cut_off",
            "tests/protocol/test_http2_floods.py::test_a_head_that_unfolds_into_megabytes",
            "tests/protocol/test_grpc_streams.py::test_a_client_that_does_not_read_may_not_send_for_ever",
            "tests/protocol/test_grpc_streams.py::test_an_error_can_be_asked_to_end_the_stream",
        ),
    ),
    19: AttackClass(
        "handles of CUDA memory",
        (
            "tests/attacks/test_shared_memory.py::test_memory_of_a_gpu_is_not_taken",
            "cpp/http/shared_memory_test.cc::SharedMemoryTest.ThereIsNoMemoryOfGpus",
        ),
        "No handle is opened: CUDA memory is not there yet.",
    ),
    20: AttackClass(
        "loads that flood, or bring configurations that take everything",
        (
            "tests/attacks/test_repository.py::test_a_configuration_that_would_take_everything",
            "tests/attacks/test_repository.py::test_a_configuration_of_a_hundred_megabytes_is_not_read",
            "tests/attacks/test_repository.py::test_a_malformed_file_is_refused_and_forgotten",
            "tests/attacks/test_repository.py::test_links_in_a_circle",
            "tests/attacks/test_repository.py::test_hundreds_of_versions",
            "tests/attacks/test_repository.py::test_a_flood_of_loads_and_unloads_of_one_model",
            "core/tests/test_repository.py::test_thousands_of_versions_cost_only_those_that_are_served",
            "core/tests/test_config_load.py::test_a_huge_file_is_refused_before_it_is_parsed",
            "core/tests/test_config_text.py::test_long_texts_take_no_time_that_grows_with_their_square",
        ),
    ),
    21: AttackClass(
        "ways around a restriction",
        (
            "tests/attacks/test_access.py::test_no_spelling_of_a_path_leads_around_a_restriction",
            "tests/attacks/test_access.py::test_a_value_is_the_secret_or_not",
            "tests/attacks/test_access.py::test_a_secret_stands_in_its_own_header",
            "tests/attacks/test_access.py::test_a_secret_of_one_request_is_none_of_the_next",
            "tests/attacks/test_access.py::test_nothing_restricted_is_on_the_port_of_the_metrics",
            "cpp/http/restrictions_test.cc::RestrictedServerTest.NoRouteLeadsAroundARestriction",
            "cpp/frontend/access_test.cc::AccessRulesTest.TakesNothingButTheWholeValue",
        ),
        "Vertex, SageMaker, the OpenAI front end: not there. That the comparison takes the same"
        " time wherever the values differ is seen in cpp/frontend/access.cc, not measured.",
    ),
    22: AttackClass(
        "traces that call somebody, forge headers, or fill the disk",
        (
            "tests/attacks/test_settings.py::test_nobody_is_called_because_a_client_says_so",
            "tests/attacks/test_settings.py::test_a_context_of_a_trace_forges_nothing",
            "tests/attacks/test_settings.py::test_a_count_bounds_what_traces_write",
            "tests/attacks/test_settings.py::test_settings_that_cannot_be",
        ),
        "The disk: who may change the settings of traces can have every request traced, as in"
        " Triton (--http-restricted-api=trace keeps others away).",
    ),
    23: AttackClass(
        "labels that forge metrics, and series without number",
        (
            "tests/attacks/test_settings.py::test_no_name_or_tag_forges_a_metric",
            "tests/attacks/test_settings.py::test_what_clients_invent_makes_no_series",
            "cpp/protocol/metrics_text_test.cc::MetricsTextTest.EscapesLabels",
            "cpp/base/metrics_test.cc::MetricsTest.AModelHasSoManySeriesAndNoMore",
        ),
    ),
    24: AttackClass(
        "Python backends that end, hang, answer wrongly or twice",
        (
            "tests/attacks/test_python_backends.py::test_a_backend_that_fails_fails_its_request_alone",
            "tests/attacks/test_python_backends.py::test_nothing_that_comes_from_outside_is_run",
            "tests/e2e/test_python_backends.py::test_a_mistake_fails_its_request_with_a_reason_and_no_other",
            "tests/e2e/test_python_backends.py::test_arrays_may_lie_in_memory_as_they_like",
            "tests/e2e/test_lifetimes.py::test_a_detached_request_ends_with_its_answer",
            "tests/e2e/test_ending.py::test_a_program_whose_model_hangs_ends_with_status_1_after_the_exit_timeout",
        ),
        "Processes, message queues and shared memory of backends: instances are threads of the"
        " server. So os._exit and a crash in C end the server: worker processes are not there yet.",
    ),
    25: AttackClass(
        "answers of a cache to other requests",
        ("tests/attacks/test_repository.py::test_a_configuration_that_would_take_everything",),
        "The response cache is not there yet: a configuration that enables it is refused.",
    ),
    26: AttackClass(
        "ends of the server and of connections while requests run",
        (
            "tests/attacks/test_access.py::test_connections_that_are_reset_at_every_point",
            "tests/attacks/test_access.py::test_connections_that_never_say_anything",
            "tests/attacks/test_access.py::test_an_end_between_requests_loses_none",
            "tests/e2e/test_shutdown.py::test_running_and_queued_requests_are_finished",
            "tests/e2e/test_shutdown.py::test_a_body_that_is_on_its_way_is_refused_and_not_waited_for",
            "tests/e2e/test_shutdown.py::test_ten_servers_end_cleanly_under_load",
        ),
        "Connections to a storage: models lie in folders.",
    ),
}
"""By their numbers."""
