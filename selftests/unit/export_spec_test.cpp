// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What may be exported to whom, and that what passes needs no quoting.
#include "export/spec.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace rr {
namespace {

export_spec spec_of(export_kind kind) {
    export_spec out;
    out.kind = kind;
    out.array = "01234567:89abcdef:fedcba98:76543210";
    out.array_name = "data";
    return out;
}

int refusal(export_spec spec) {
    Status ok = complete(spec);
    EXPECT_TRUE(ok || !ok.error().hint.empty());
    return ok ? 0 : ok.error().err;
}

TEST(ExportSpec, HasDefaultsOfItsKind) {
    export_spec spec = spec_of(export_kind::nvme_tcp);
    ASSERT_TRUE(complete(spec));
    EXPECT_EQ(spec.name, "data-nvme-tcp");
    EXPECT_EQ(spec.target, "nqn.2014-08.org.nvmexpress:uuid:01234567-89ab-cdef-fedc-ba9876543210");
    EXPECT_EQ(spec.address, "127.0.0.1");
    EXPECT_EQ(spec.port, 4420);
    EXPECT_TRUE(spec.any_host);
    spec = spec_of(export_kind::vhost_user);
    ASSERT_TRUE(complete(spec));
    EXPECT_EQ(spec.path, "/run/ringraid/exports/data-vhost-user.sock");
    EXPECT_EQ(spec.port, 0);
    spec = spec_of(export_kind::vduse);
    ASSERT_TRUE(complete(spec));
    EXPECT_EQ(spec.driver, "virtio_vdpa");
}

TEST(ExportSpec, ComesBackFromJsonAndFromItsCommandLine) {
    for (size_t i = 0; i < export_kinds().size(); i++) {
        export_spec spec = spec_of(*parse_export_kind(export_kinds()[i]));
        ASSERT_TRUE(complete(spec));
        auto again = export_of_json(to_json(spec));
        ASSERT_TRUE(again);
        EXPECT_EQ(to_json(*again), to_json(spec));
        EXPECT_EQ(command_line(spec).find_first_of("'\"\\$%;&|<>\n"), std::string::npos);
    }
    EXPECT_FALSE(export_of_json(nlohmann::json::object()));
    EXPECT_FALSE(export_of_json({{"kind", 3}}));
}

TEST(ExportSpec, LetsNobodyInUnasked) {
    for (export_kind kind : {export_kind::nvme_tcp, export_kind::nbd, export_kind::iscsi}) {
        export_spec spec = spec_of(kind);
        spec.address = "10.0.0.1";
        EXPECT_EQ(refusal(spec), EPERM);
        spec.any_host = true;
        EXPECT_EQ(refusal(spec), 0);
    }
    // 127 as a network, not as letters.
    export_spec spec = spec_of(export_kind::nvme_tcp);
    spec.address = "::";
    EXPECT_EQ(refusal(spec), EPERM);
    spec.hosts = {"nqn.2014-08.org.nvmexpress:uuid:x"};
    ASSERT_TRUE(complete(spec));
    EXPECT_FALSE(spec.any_host);
    // On this machine, too, those that are named are the only ones.
    spec = spec_of(export_kind::nvme_tcp);
    spec.hosts = {"nqn.2014-08.org.nvmexpress:uuid:x"};
    ASSERT_TRUE(complete(spec));
    EXPECT_FALSE(spec.any_host);
}

TEST(ExportSpec, RefusesWhatIsNoName) {
    for (const char* wrong : {"../x", "a/b", "-rf", ".x", "a b", "a\nb", "a,b", "\xff"}) {
        export_spec spec = spec_of(export_kind::nbd);
        spec.name = wrong;
        EXPECT_EQ(refusal(spec), EINVAL) << wrong;
        spec = spec_of(export_kind::nvme_tcp);
        spec.target = std::string("nqn.2014-08.x:") + wrong + "/..";
        EXPECT_EQ(refusal(spec), EINVAL) << spec.target;
        spec = spec_of(export_kind::fuse);
        spec.path = wrong;
        EXPECT_EQ(refusal(spec), EINVAL) << wrong;
        spec = spec_of(export_kind::nvme_tcp);
        spec.address = wrong;
        EXPECT_EQ(refusal(spec), EINVAL) << wrong;
    }
    export_spec spec = spec_of(export_kind::nvme_tcp);
    spec.target = "nqn." + std::string(220, 'x');
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::iscsi);
    spec.target = "iqn.2026-01.Org:x";
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::nbd);
    spec.name = std::string(65, 'x');
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::vhost_user);
    spec.path = "/" + std::string(107, 'x');
    EXPECT_EQ(refusal(spec), ENAMETOOLONG);
}

TEST(ExportSpec, RefusesWhatAKindHasNot) {
    export_spec spec = spec_of(export_kind::vduse);
    spec.address = "127.0.0.1";
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::nbd);
    spec.hosts = {"x"};
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::nvme_tcp);
    spec.path = "/run/x";
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::nbd);
    spec.path = "/run/x";
    spec.address = "127.0.0.1";
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::fuse);
    spec.queues = 2;
    EXPECT_EQ(refusal(spec), EINVAL);
    spec = spec_of(export_kind::vhost_user);
    spec.queues = 0;
    EXPECT_EQ(refusal(spec), EINVAL);
}

}  // namespace
}  // namespace rr
