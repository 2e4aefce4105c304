//! What real clients do that is not in the specification, and what a registry must survive all the same. Here a quirk is one
//! fact, asked as that client asks it, byte for byte ([`clients`], [`http2`]); it names the client and the quirk's section and
//! number on our page of client quirks. Some are facts that the files beside this one tell already.
//!
//! The table says which test covers which quirk, and which quirks wait for what the registry does not have yet. A test is
//! `file::name`, the file being in this folder or beside it.
//!
//! | quirk | covered by |
//! |---|---|
//! | 1 ping | `ping::a_ping_is_answered_with_an_empty_object`, `ping::a_ping_may_be_a_head`, `proxies::a_client_that_begins_with_tls_is_answered_in_plain_http` |
//! | 1 blob existence | `blobs_pull::the_answer_to_a_head_has_no_body`, `blobs_pull::a_blob_comes_with_all_that_clients_look_for` |
//! | 1 mount | `mounts::a_mount_gives_the_blob_without_its_bytes`, `mounts::a_mount_that_names_no_source_takes_any`, `mounts::a_mount_that_cannot_be_done_is_a_session` |
//! | 1 upload, Content-Range, HEAD after it | `uploads::docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once`, `uploads::skopeo_and_crane_send_one_patch_with_its_length_and_an_empty_put_with_a_type`, `uploads::containerd_buildkit_oras_and_helm_send_all_in_one_put`, `uploads::regclient_sends_chunks_of_its_own_size` |
//! | 1 manifest by tag | `manifests::docker_asks_for_a_tag_by_head_and_then_for_the_digest_that_it_got` |
//! | 1 parallel blobs | `blobs_pull::many_readers_of_one_blob_all_get_it`, `writers::one_blob_pushed_by_eight_at_once_is_kept_once` |
//! | 1 retries | `missing_bytes::while_the_store_is_away_nothing_is_lost`; 429 waits for `http.limits.requests` |
//! | 1 range, resume | `ranges::a_download_that_broke_off_is_resumed_where_it_broke`, `downloads::a_download_over_http_2_is_resumed`, `downloads::oras_seeks_where_the_first_answer_says_that_it_can` |
//! | 1 `ns` | `errors::unknown_queries_are_ignored`, `downloads::containerd_tells_a_mirror_whom_it_means` |
//! | 1 referrers API | section 6 |
//! | 2.1 Location | `uploads::every_location_is_a_path_without_a_query`; a POST that is redirected waits for redirects |
//! | 2.2 query in Location | `uploads::every_location_is_a_path_without_a_query`, `uploads::the_digest_may_stand_anywhere_in_the_query` |
//! | 2.3 answer to PATCH | `uploads::docker_sends_one_patch_without_a_length_and_an_empty_put`, `uploads::an_empty_patch_changes_nothing` |
//! | 2.4 Docker-Upload-UUID | `uploads::a_session_begins_with_nothing_received` |
//! | 2.5 empty PUT | `uploads::docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once`, `uploads::skopeo_and_crane_send_one_patch_with_its_length_and_an_empty_put_with_a_type`, `uploads::over_http_2_neither_a_patch_nor_an_empty_put_has_a_length` |
//! | 2.6 PATCH of unknown length | `uploads::docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once`, `uploads::over_http_2_neither_a_patch_nor_an_empty_put_has_a_length` |
//! | 2.7 large PUT | `uploads::one_large_put_of_containerd_takes_little_memory`, `uploads::a_large_blob_takes_little_memory` |
//! | 2.8 sessions left or cancelled | `uploads::docker_forgets_sessions_and_nobody_minds`, `uploads::skopeo_cancels_the_session_that_a_mount_turned_into`, `uploads::kaniko_starts_an_upload_only_to_see_whether_it_may`, `uploads::a_cancelled_session_is_gone` |
//! | 2.9 PUT twice | `uploads::a_put_that_is_repeated_succeeds_again` |
//! | 2.10 PATCH again after a break | `uploads::a_patch_that_is_sent_again_as_a_whole_is_appended_and_found_out_by_the_digest`, `interruptions::a_patch_that_broke_off_is_resumed_where_it_broke` |
//! | 2.11 5xx in the middle | the client's part; that a new push succeeds after one that broke: `interruptions::a_put_that_broke_off_can_be_repeated` |
//! | 2.12 chunk sizes | `uploads::regclient_sends_chunks_of_its_own_size`, `uploads::docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once`, `chunks::a_chunk_out_of_order_is_told_where_to_go_on` |
//! | 2.13 another connection | `uploads::a_session_goes_on_over_another_connection_and_another_version_of_http`, `restart::a_session_outlives_the_process`; another replica waits for several machines |
//! | 2.14 sessions for one digest | `writers::one_blob_pushed_by_eight_at_once_is_kept_once` |
//! | 2.15 config like a layer | `uploads::docker_sends_one_patch_of_unknown_length_and_looks_for_the_blob_at_once` |
//! | 2.16 Expect: 100-continue | `early_answers::a_client_that_asks_first_is_told_to_go_on`, `early_answers::a_client_that_asks_in_vain_is_not_told_to_go_on`, `uploads::curl_calls_the_blob_a_form_and_asks_before_it_sends`, `uploads::jib_mounts_from_where_it_cannot_and_asks_before_it_sends` |
//! | 2.17 401 in a session | waits for accounts |
//! | 2.18 token with pull alone | waits for accounts |
//! | 3.1 HEAD | `manifests::a_head_tells_type_length_and_digest`, `manifests::head_and_get_agree_whatever_a_client_accepts` |
//! | 3.2 HEAD and GET agree | `manifests::head_and_get_agree_whatever_a_client_accepts` |
//! | 3.3 Accept | `manifests::head_and_get_agree_whatever_a_client_accepts`, `manifests::what_is_stored_is_served_whatever_the_client_accepts` |
//! | 3.4 PUT of octets | `manifest_rules::a_type_that_says_nothing_is_looked_up_in_the_body` |
//! | 3.5 charset | `manifest_rules::parameters_of_the_content_type_are_dropped` |
//! | 3.6 the same again | `manifests::pushing_the_same_again_succeeds`; that it writes no history is a test of `cargohold-metadata` |
//! | 3.7 children first | `manifests::the_children_of_a_list_come_first_and_by_digest`; the grace waits for the sweep |
//! | 3.8 cache of BuildKit | `manifest_references::an_index_may_list_blobs_as_build_caches_do` |
//! | 3.9 artifacts | `manifests::artifacts_of_every_tool_are_taken_as_they_are`, `manifest_rules::artifacts_of_any_type_are_taken` |
//! | 3.10 pull of an artifact | the client's part; `manifests::artifacts_of_every_tool_are_taken_as_they_are` |
//! | 3.11 no mediaType | `manifest_rules::an_oci_manifest_need_not_repeat_its_type` |
//! | 3.12 412 by policy | waits for policies |
//! | 3.13 white space | `manifests::every_byte_is_kept` |
//! | 3.14 404, then the blobs | `manifests::containerd_looks_among_the_blobs_for_what_is_no_manifest` |
//! | 3.15 tags that move | `manifests::cosign_moves_its_tag_with_every_signature`, `manifests::a_tag_moves_to_what_was_pushed_last`; the conflict waits for immutable tags |
//! | 3.16 delete of a tag | `deletes::a_deleted_tag_is_gone_and_its_manifest_stays`, `manifests::regclient_deletes_a_tag_by_way_of_a_dummy` |
//! | 3.17 202 | `manifests::every_delete_is_answered_202_and_never_204` |
//! | 3.18 content trust | `manifests::docker_content_trust_finds_no_notary_here` |
//! | 4.1 redirect | waits for redirects |
//! | 4.2 redirect to an address | waits for redirects |
//! | 4.3 redirect with a range | waits for redirects |
//! | 4.4 HEAD is answered here | `blobs_pull::the_answer_to_a_head_has_no_body`; beside a signed URL it waits for redirects |
//! | 4.5 no Content-Encoding | `downloads::a_layer_that_is_a_gzip_file_is_not_called_compressed`, `blobs_pull::a_blob_is_never_compressed_on_its_way` |
//! | 4.6 Content-Length | `downloads::a_blob_has_its_length_in_every_answer_of_every_version_of_http` |
//! | 4.7 parallel ranges | `downloads::containerd_reads_parts_side_by_side_and_hangs_up_on_each` |
//! | 4.8 many ranges | `downloads::podman_asks_for_hundreds_of_parts_in_one_long_header`, `downloads::podman_takes_one_part_for_several_that_touch`, `ranges::more_ranges_than_any_client_needs_bring_the_whole` |
//! | 4.9 ranges for a container's life | `ranges::a_range_brings_its_part`; tokens wait for accounts, targets that expire for redirects |
//! | 4.10 conditions | `blobs_pull::whoever_has_the_blob_is_not_sent_it_again`, `manifests::whoever_has_the_manifest_is_not_sent_it_again` |
//! | 4.11 hanging up | `blobs_pull::a_client_that_hangs_up_does_no_harm`, `downloads::containerd_reads_parts_side_by_side_and_hangs_up_on_each` |
//! | 5.1 `n` or none | `listing::every_client_lists_tags_in_its_own_way`, `tags::more_tags_than_one_look_at_the_database_brings_are_all_listed` |
//! | 5.2 Link | `tags::twenty_five_tags_are_walked_in_pages`, `proxies::what_leads_on_is_relative_whatever_a_proxy_says` |
//! | 5.3 name | `tags::tags_come_in_byte_order` |
//! | 5.4 never null | `tags::a_repository_without_tags_has_an_empty_list` |
//! | 5.5 pollers | `tags::more_tags_than_one_look_at_the_database_brings_are_all_listed`, `listing::a_poller_that_names_an_old_list_gets_the_new_one`; 304 waits for entity tags of lists |
//! | 5.6 catalog, browsers | `listing::the_catalog_is_read_with_any_size`, `catalog::repositories_come_in_byte_order_by_pages`, `listing::a_page_of_another_site_is_let_in_by_no_answer`; letting pages in waits for a setting |
//! | 6.1 go-containerregistry | `referrers::cosign_asks_after_each_push_and_need_not_write_a_tag` |
//! | 6.2 oras | `referrers::nothing_attached_is_an_empty_list_and_never_not_found` |
//! | 6.3 regclient | `referrers::nothing_attached_is_an_empty_list_and_never_not_found` |
//! | 6.4 containerd | `referrers::containerd_asks_for_referrers_of_several_types_at_once` |
//! | 6.5 unknown paths | `referrers::nobody_gets_a_web_page_where_referrers_were_asked_for`, `errors::a_path_that_the_api_does_not_have_is_not_found_in_json`; 401 and 403 wait for accounts |
//! | 6.6 fallback tag | `referrers::an_old_client_keeps_its_list_in_a_tag`, `referrers::a_tag_that_lists_referrers_is_a_tag_like_any_other` |
//! | 7.1 realm | waits for accounts |
//! | 7.2 challenge on HEAD | waits for accounts |
//! | 7.3 challenge on `/v2/` | waits for accounts |
//! | 7.4 scheme names | waits for accounts |
//! | 7.5 mirrors of Hub | waits for mirrors |
//! | 7.6 token that expires | waits for accounts |
//! | 7.7 Basic for Bearer | `oddities::credentials_that_nobody_asked_for_are_ignored`; its 401 waits for accounts |
//! | 7.8 anonymous push | waits for accounts |
//! | 7.9 two scopes | `mounts::a_mount_that_cannot_be_done_is_a_session`; tokens wait for accounts |
//! | 7.10 upper-case names | `errors::an_upper_case_name_is_told_what_is_wrong` |
//! | 7.11 odd credentials | `oddities::credentials_that_nobody_asked_for_are_ignored`; reading them waits for accounts |
//! | 8 forwarded headers, relative Location | `proxies::what_leads_on_is_relative_whatever_a_proxy_says`; absolute addresses wait for accounts (the realm) |
//! | 8 nginx | `proxies::a_proxy_that_speaks_http_1_0_pushes_pulls_and_lists`, `proxies::a_long_list_over_http_1_0_is_not_chunked`, `errors::a_name_may_be_percent_encoded_as_one_piece`, `errors::a_digest_in_a_path_may_be_percent_encoded` |
//! | 8 Cloudflare, AWS, Traefik | their part; long headers: `errors::a_long_token_is_not_too_long` |
//! | 8 path prefix | the API is at the root: `ping::a_ping_is_answered_with_an_empty_object` |
//! | 8 HTTP/2 | `proxies::an_upload_over_http_2_has_a_window_of_at_least_a_mebibyte`, `proxies::a_refusal_over_http_2_arrives_though_the_client_still_sends`, `proxies::an_offer_of_http_2_is_not_an_obstacle`, `uploads::over_http_2_a_whole_blob_needs_no_length_either` |
//! | 8 early errors | `early_answers::an_answer_arrives_though_the_client_still_sends` |
//! | 8 certificates | wait for TLS |
//! | 8 IPv6 hosts | `strangers::a_registry_for_this_machine_answers_to_its_names` |
//! | 8 idle connections | `ping::one_connection_serves_many_requests`; two minutes of silence are no test |
//! | 9 resume, 4 MiB, long headers | `ranges::a_download_that_broke_off_is_resumed_where_it_broke`, `manifests::a_manifest_that_is_large_but_not_too_large_is_taken`, `errors::a_long_token_is_not_too_long` |
//! | 9 bodies of errors | `oddities::the_body_of_a_refusal_is_as_short_as_skopeo_reads` |
//! | 9 timeouts of clients | not a fact about answers; bytes that flow while a cache is cold wait for mirrors |
//! | 10.1 digest of a HEAD | `manifests::docker_asks_for_a_tag_by_head_and_then_for_the_digest_that_it_got` |
//! | 10.2 `library/` | `oddities::library_is_a_name_like_any_other` |
//! | 10.3 manifest inspect | `oddities::docker_manifest_inspect_looks_at_every_child` |
//! | 10.4 User-Agent | `oddities::a_user_agent_opens_and_closes_no_door` |
//! | 10.5 API version in requests | `oddities::podman_is_not_invited_to_ask_for_signatures`, and every test with `Client::skopeo` |
//! | 10.6 signatures | `oddities::podman_is_not_invited_to_ask_for_signatures` |
//! | 10.7 version 1 | `oddities::what_docker_asks_of_version_1_is_not_found` |
//! | 10.8 401 for all | waits for accounts |
//! | 10.9 Kubernetes | asks nothing of a registry |
//! | 10.10 order of pushes | `manifests::the_children_of_a_list_come_first_and_by_digest` |
//! | 10.11 messages for people | `manifest_rules::schema_1_is_refused_with_what_to_do_about_it`, `manifest_rules::a_descriptor_that_is_wrong_is_refused_and_named` |
//! | 10.12 mounts of jib | `uploads::jib_mounts_from_where_it_cannot_and_asks_before_it_sends` |
//! | 10.13 a hundred HEADs | `oddities::more_than_a_hundred_heads_at_once_are_answered` |
//! | 10.14 caching | `oddities::a_layer_may_be_cached_for_good_and_a_tag_may_not` |
//! | 10.15 Windows | `oddities::foreign_layers_may_be_pushed_and_may_be_left_out`, `manifest_references::layers_that_are_to_be_had_elsewhere_need_not_be_there` |
//! | 10.16 plugins | `manifests::docker_pushes_plugins`; their scope waits for accounts |
//! | 10.17 models, compose | `manifests::artifacts_of_every_tool_are_taken_as_they_are`, `oddities::layers_of_more_than_fifty_gigabytes_are_counted` |
//! | 10.18 attestations | `manifests::attestations_of_buildkit_are_children_and_referrers` |
//! | 10.19 attestations with a subject | `manifests::attestations_of_buildkit_are_children_and_referrers` |
//! | 10.20 tags of signatures | `manifests::cosign_moves_its_tag_with_every_signature` |
//! | 10.21 201 for a manifest | `manifests::an_image_is_pushed_and_pulled` |
//! | 10.22 201 for a blob | `uploads::skopeo_and_crane_send_one_patch_with_its_length_and_an_empty_put_with_a_type` |
//! | 10.23 sha512 | `manifests::a_manifest_is_pushed_by_its_sha512_digest`, `digests::sha512_blobs_are_pushed_in_every_way_and_pulled` |
//! | 10.24 clock skew | waits for accounts |
//! | 10.25 odd proxies | their part; a GET in place of a HEAD is a GET |

mod clients;
mod downloads;
mod http2;
mod listing;
mod manifests;
mod oddities;
mod proxies;
mod referrers;
mod uploads;

/// How many quirks each section of the page numbers.
const NUMBERED: [(u32, u32); 7] = [(2, 18), (3, 18), (4, 11), (5, 6), (6, 6), (7, 11), (10, 25)];

#[test]
fn the_overview_has_every_quirk_in_order() {
    let rows = include_str!("quirks.rs").lines().filter_map(|line| line.strip_prefix("//! | ")?.split(' ').next());
    let numbered: Vec<_> = rows.filter(|number| number.contains('.')).collect();
    let expected =
        NUMBERED.iter().flat_map(|(section, last)| (1..=*last).map(move |number| format!("{section}.{number}")));
    assert_eq!(numbered, expected.collect::<Vec<_>>());
}

#[test]
fn the_overview_names_tests_that_exist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/front_door");
    let table = include_str!("quirks.rs").lines().filter(|line| line.starts_with("//! | "));
    for named in table.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let Some((file, test)) = named.split_once("::").filter(|(file, _)| file.starts_with(char::is_lowercase)) else {
            continue;
        };
        let here = [folder.join("quirks"), folder.clone()].map(|folder| folder.join(file).with_extension("rs"));
        let texts = here.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        assert!(
            texts.into_iter().any(|text| text.contains(&format!("#[test]\nfn {test}()"))),
            "there is no test {named}"
        );
    }
}
