"""The image of the memory in a slot: what was packed comes back, and what was not is no image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import protocol
from firmware_mock.firmware.conditions import ALERTS_KEPT, Alert, Conditions
from firmware_mock.firmware.flash import PAGE_BYTES
from firmware_mock.firmware.flex import MOST_STEPS
from firmware_mock.firmware.image import StoredImage, generation_of, pack_image, unpack_image
from firmware_mock.firmware.memory import RESULTS_KEPT, BolusLimits, Memory, Result, Run
from firmware_mock.firmware.stretches import STRETCHES_KEPT, Stretch
from protocol import CommandState, Mode, SelfTestItem
from protocol.profile import load_model, model_names

FLOATS = st.floats(0.0, 1e6)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
COUNTS = st.integers(0, 2**63 - 1)
RUNS = st.builds(
    Run,
    U64,
    U64,
    st.integers(0, 255),
    st.binary(max_size=60),
    st.sampled_from(Mode),
    COUNTS,
    steps=st.none() | COUNTS,
    then_step_ticks=st.none() | COUNTS,
    ends_with_lease=st.booleans(),
    counted_steps=COUNTS,
    doubtful_steps=COUNTS,
    taken_up_at_steps=COUNTS,
)
RESULTS = st.builds(Result, U64, U64, st.integers(0, 255), st.sampled_from(CommandState), FLOATS, FLOATS)
LIMITS = st.builds(BolusLimits, st.booleans(), FLOATS, FLOATS, U32, st.integers(0, 2**16 - 1), U32, FLOATS)
STRETCHES = st.builds(Stretch, COUNTS, U64, COUNTS, FLOATS)
MEMORIES = st.builds(
    Memory,
    FLOATS,
    FLOATS,
    FLOATS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.none() | COUNTS,
    clock_offset_s=st.integers(-50_000, 50_000),
    clock_generation=U32,
    generation=U32,
    boot_id=U32,
    last_command_id=U64,
    primed=st.booleans(),
    therapy=st.none() | RUNS,
    bolus=st.none() | RUNS,
    leased=st.booleans(),
    lease_lost=st.booleans(),
    motor_stalled=st.booleans(),
    forgotten_command_id=U64,
    self_test_failed=st.builds(SelfTestItem, st.integers(0, 63)),
    results=st.lists(RESULTS, max_size=RESULTS_KEPT).map(tuple),
    programming_interrupted=st.booleans(),
    limits=st.none() | LIMITS,
    patient_starts_us=st.lists(COUNTS, max_size=100).map(tuple),
    stretches=st.lists(STRETCHES, max_size=STRETCHES_KEPT).map(tuple),
    key=st.none() | st.binary(min_size=16, max_size=16),
)
IMAGES = st.builds(StoredImage, U32, U64, U64, MEMORIES)


@given(IMAGES)
def test_an_image_comes_back_as_it_was(image):
    slot = pack_image(image).ljust(4096, b"\xff")
    assert unpack_image(slot) == image
    assert generation_of(slot) == image.generation


@given(IMAGES, st.data())
def test_a_flipped_bit_makes_it_no_image(image, data):
    slot = bytearray(pack_image(image))
    bit = data.draw(st.integers(0, 8 * len(slot) - 1))
    slot[bit // 8] ^= 1 << bit % 8
    assert unpack_image(slot.ljust(4096, b"\xff")) is None


@given(MEMORIES, st.lists(RESULTS, max_size=2 * RESULTS_KEPT))
def test_the_oldest_results_are_given_up_and_the_highest_of_their_ids_is_kept(memory, results):
    kept = memory
    for result in results:
        kept = kept.ended(result)
    everything = (*memory.results, *results)
    assert kept.results == everything[-RESULTS_KEPT:]
    given_up = everything[: len(everything) - len(kept.results)]
    assert kept.forgotten_command_id == max([memory.forgotten_command_id, *(result.command_id for result in given_up)])


def test_an_empty_slot_holds_no_image():
    assert unpack_image(b"\xff" * 4096) is None
    assert unpack_image(bytes(4096)) is None


@pytest.mark.parametrize("model", [name for name in model_names() if load_model(name).programming is not None])
def test_the_largest_image_fits_a_page(model):
    programming = load_model(model).programming
    steps = tuple(protocol.FlexStep(127, minute, 1.0) for minute in range(MOST_STEPS))
    canonical = protocol.encode_payload(protocol.ProposeFlex(1, 0, steps))
    alerts = (Alert(1, 1, True),) * ALERTS_KEPT
    memory = Memory(
        *(1.0, 1.0, 1.0, 1, 1, 1, 1),
        therapy=Run(1, 1, 1, canonical, Mode.FLEX, 1),
        bolus=Run(1, 1, 1, bytes(24), Mode.BOLUS, 1),
        results=(Result(1, 1, 1, CommandState.DONE),) * RESULTS_KEPT,
        limits=BolusLimits(True, 1.0, 1.0, 1, 1, 1, 1.0),
        patient_starts_us=(1,) * programming.patient_boluses_per_day_max,
        stretches=(Stretch(1, 1, 1, 1.0),) * STRETCHES_KEPT,
        conditions=Conditions(alerts=alerts),
        key=bytes(16),
    )
    assert len(pack_image(StoredImage(1, 1, 1, memory))) <= PAGE_BYTES
