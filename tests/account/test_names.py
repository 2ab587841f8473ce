"""`name:TEXT` becomes an id, over real HTTP against the simulator; all lists are listed."""

from __future__ import annotations

import pytest

from spark_klaviyo.account.names import all_lists, resolve_names
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.simulator import KlaviyoSimulator

MANY = {f"List{number:02d}": f"Shop {number}" for number in range(34)}


def options_for(url: str, **given: object) -> Options:
    asked = {"base_url": url, "api_key": "pk_test", **given}
    return read_options(asked, EntryPoint.FUNCTION)


def asking(url: str, name: str) -> Options:
    return options_for(url, template="add_profiles_to_list", list_id=f"name:{name}")


def test_the_name_of_a_list_becomes_its_id() -> None:
    with KlaviyoSimulator(lists={"Y6nRLr": "Newsletter", "Lst1Aa": "Newsletter, old"}) as klaviyo:
        assert resolve_names(asking(klaviyo.url, "Newsletter")).settings["list_id"] == "Y6nRLr"
        assert [request.method for request in klaviyo.requests] == ["GET"]


def test_names_may_hold_quotes_plus_signs_and_commas() -> None:
    name = 'A+B "gold", équipe (new) & more'
    with KlaviyoSimulator(lists={"Abc123": name, "Def456": "A B"}) as klaviyo:
        assert resolve_names(asking(klaviyo.url, name)).settings["list_id"] == "Abc123"


def test_an_id_is_kept_and_nothing_is_read() -> None:
    with KlaviyoSimulator() as klaviyo:
        given = options_for(klaviyo.url, template="add_profiles_to_list", list_id="Y6nRLr")
        assert resolve_names(given) is given
        assert klaviyo.requests == []


def test_a_name_of_two_lists_is_refused_with_both_ids() -> None:
    with KlaviyoSimulator(lists={"Aaa111": "VIP", "Bbb222": "VIP", "Ccc333": "Rest"}) as klaviyo:
        with pytest.raises(OptionError, match="2 lists are called 'VIP'") as raised:
            resolve_names(asking(klaviyo.url, "VIP"))
        assert "Aaa111" in str(raised.value)
        assert "Bbb222" in str(raised.value)
        assert "Ccc333" not in str(raised.value)


def test_a_misspelt_name_is_refused_with_the_nearest_from_all_pages() -> None:
    with (
        KlaviyoSimulator(lists={**MANY, "Y6nRLr": "Newsletter"}) as klaviyo,
        pytest.raises(OptionError, match="did you mean 'Newsletter' \\(Y6nRLr"),
    ):
        resolve_names(asking(klaviyo.url, "newsleter"))


def test_a_name_in_another_case_is_refused_with_the_right_one() -> None:
    with (
        KlaviyoSimulator(lists={"Y6nRLr": "Newsletter"}) as klaviyo,
        pytest.raises(OptionError, match="no list is called 'NEWSLETTER'; did you mean 'Newsletter'"),
    ):
        resolve_names(asking(klaviyo.url, "NEWSLETTER"))


def test_an_unknown_name_is_refused_with_the_existing_ones() -> None:
    with (
        KlaviyoSimulator(lists={"Y6nRLr": "Newsletter"}) as klaviyo,
        pytest.raises(OptionError, match="there are: 'Newsletter'"),
    ):
        resolve_names(asking(klaviyo.url, "zzz"))


def test_coupons_data_sources_and_tags_are_looked_up_too() -> None:
    with KlaviyoSimulator() as klaviyo:
        coupon = {"id": "TEN", "external_id": "TEN", "description": "10 %", "monitor_configuration": {}}
        klaviyo.account.coupons["TEN"] = coupon
        klaviyo.account.tags["t1"] = {"id": "t1", "name": "Season", "tag_group": "g"}
        source = {"id": "S1", "title": "Orders", "visibility": "private", "description": "", "namespace": "x"}
        klaviyo.account.data_sources["S1"] = source
        asked = [
            ("bulk_create_coupon_codes", "coupon_id", "TEN", "TEN"),
            ("bulk_create_data_source_records", "data_source_id", "Orders", "S1"),
            ("tag_lists", "tag_id", "Season", "t1"),
        ]
        for template, setting, name, found in asked:
            options = options_for(klaviyo.url, template=template, **{setting: f"name:{name}"})
            assert resolve_names(options).settings[setting] == found


def test_a_key_without_the_scope_is_refused_with_what_to_do() -> None:
    with (
        KlaviyoSimulator(api_keys={"pk_test": ["profiles:write"]}) as klaviyo,
        pytest.raises(OptionError, match="give the id itself, or the key the scope lists:read"),
    ):
        resolve_names(asking(klaviyo.url, "Newsletter"))


def test_a_refused_key_stops_the_write_with_a_report() -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        with pytest.raises(WriteStopped, match="refuses this key") as raised:
            resolve_names(asking(klaviyo.url, "Newsletter"), run_id="r1")
        report = raised.value.report
        assert report is not None
        assert (report.run_id, report.template, report.rows) == ("r1", "add_profiles_to_list", 0)
        assert report.stopped is not None
        assert report.stopped[0] == "unauthorized"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("Abc123,name:VIP", "Abc123,Vip111"),
        ("name:VIP, name:Old, and new", "Vip111,Old222"),
        ("Abc123,Def456 , Name:VIP", "Abc123,Def456,Vip111"),
        (["name:VIP", "Abc123"], "Abc123,Vip111"),
    ],
)
def test_several_lists_are_given_by_ids_and_names(given: object, found: str) -> None:
    with KlaviyoSimulator(lists={"Vip111": "VIP", "Old222": "Old, and new"}) as klaviyo:
        options = options_for(klaviyo.url, template="add_profiles_to_list", list_id=given)
        assert resolve_names(options).settings["list_id"] == found


def test_an_id_after_a_name_is_part_of_it_and_the_message_says_so() -> None:
    with (
        KlaviyoSimulator(lists={"Vip111": "VIP"}) as klaviyo,
        pytest.raises(OptionError, match=r"no list is called 'VIP,Abc123'.*put ids before names"),
    ):
        resolve_names(options_for(klaviyo.url, template="add_profiles_to_list", list_id="name:VIP,Abc123"))


def test_listing_with_a_refused_key_or_an_unreachable_host_is_stopped() -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo, pytest.raises(WriteStopped, match="refuses this key"):
        all_lists(options_for(klaviyo.url, template="bulk_import_profiles"))
    with pytest.raises(WriteStopped, match="lists cannot be read"):
        all_lists(options_for(klaviyo.url, template="bulk_import_profiles", attempts=1))


def test_every_list_is_listed_by_name_over_all_pages() -> None:
    with KlaviyoSimulator(lists={**MANY, "Zzz999": "a first one"}) as klaviyo:
        found = all_lists(options_for(klaviyo.url, template="bulk_import_profiles"))
        assert len(found) == len(MANY) + 1
        assert (found[0].id, found[0].name) == ("Zzz999", "a first one")
        assert {one.id: one.name for one in found} == {**MANY, "Zzz999": "a first one"}
