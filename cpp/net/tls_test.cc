#include "net/tls.h"

#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "net/testing/certificates.h"
#include "net/testing/echo.h"
#include "net/testing/tls_client.h"

namespace despina::net {
namespace {

using testing::Certificates;
using testing::ConnectionTest;
using testing::EchoProtocol;
using testing::TlsClient;
using Phase = Protocol::Phase;

const Certificates& Files() {
  static const Certificates files;
  return files;
}

class TlsTest : public ConnectionTest {
 protected:
  TlsTest() {
    EXPECT_TRUE(context_.UseCertificate(Files().File("server.pem")).ok());
    EXPECT_TRUE(context_.UseKey(Files().File("server.key")).ok());
    context_.SetProtocols({"http/1.1"});
    context_.SetPlaintextAnswer("HTTP/1.1 400 Bad Request\r\n\r\n");
    // A server process ignores it; here it would hide that the connection raises it.
    std::signal(SIGPIPE, SIG_DFL);
  }

  Descriptor OpenTls(TimePoint deadline = TimePoint::max()) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    connections_.Add({Descriptor(ends[0]), context_.Accept(ends[0]), deadline}, protocol_);
    return Descriptor(ends[1]);
  }
  static TlsClient::Options Trusting() { return {.authority = Files().File("authority.pem")}; }
  static TlsClient::Options Known() {
    TlsClient::Options options = Trusting();
    options.certificate = Files().File("client.pem");
    options.key = Files().File("client.key");
    return options;
  }

  // Runs the loop beside a client on a thread of its own.
  void RunWith(const std::function<void(TlsClient&)>& client,
               const TlsClient::Options& options = Trusting()) {
    RunBeside([&, peer = std::make_shared<Descriptor>(OpenTls())] {
      TlsClient made(std::move(*peer), options);
      client(made);
    });
  }
  void RunBeside(const std::function<void()>& client) {
    std::thread thread(client);
    Run();
    thread.join();
    EXPECT_EQ(connections_.size(), 0U);
  }

  TlsContext context_;
};

TEST_F(TlsTest, MovesBytesBothWaysUntilThePeerCloses) {
  std::string text(3 << 20, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 / 7);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    protocol_ = std::make_shared<EchoProtocol>();
    TlsClient::Options options = Trusting();
    options.version = version;
    RunWith(
        [&](TlsClient& client) {
          ASSERT_TRUE(client.Connect());
          // So much at a time that no socket holds it: the connection waits to read and to write.
          constexpr size_t kPart = 150'000;
          for (size_t at = 0; at < text.size(); at += kPart) {
            const std::string part = text.substr(at, kPart);
            ASSERT_TRUE(client.Send(part));
            ASSERT_EQ(client.Receive(part.size()), part);
          }
          client.SayEnd();
          EXPECT_TRUE(client.SeesEnd());
        },
        options);
    EXPECT_EQ(protocol_->closed, 1);
  }
}

TEST_F(TlsTest, KeepsWhatItHasReadAheadUntilThereIsRoomForIt) {
  protocol_->space.resize(7);
  RunWith([](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    // One record, of which nothing is left in the socket.
    const std::string record(10'000, 'r');
    ASSERT_TRUE(client.Send(record));
    EXPECT_EQ(client.Receive(record.size()), record);
    // And many.
    std::string all;
    for (int i = 0; i < 500; ++i) {
      const std::string text = std::to_string(i);
      ASSERT_TRUE(client.Send(text));
      all += text;
    }
    EXPECT_EQ(client.Receive(all.size()), all);
  });
}

TEST_F(TlsTest, GivesOtherConnectionsTheirTurnWhileItReads) {
  protocol_->space.resize(1);
  protocol_->echoes = false;
  size_t before = 0;
  protocol_->on_read = [&] {
    if (protocol_->reads.size() == 1) {
      loop_.Post([&] { before = protocol_->reads.size(); });
    }
  };
  RunWith([](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    ASSERT_TRUE(client.Send(std::string(1000, 'x')));
  });
  EXPECT_EQ(protocol_->reads.size(), 1000U);
  EXPECT_LT(before, 10U);
}

TEST_F(TlsTest, SendsSmallPiecesInOneRecord) {
  RunWith([](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    // Comes back in pieces of 1000.
    ASSERT_TRUE(client.Send(std::string(5000, 'x')));
    EXPECT_EQ(client.Receive().size(), 5000U);
  });
}

TEST_F(TlsTest, AgreesOnAProtocolOrRefuses) {
  const auto agreed = [&](const std::string& offered, bool connects) {
    protocol_ = std::make_shared<EchoProtocol>();
    TlsClient::Options options = Trusting();
    options.protocols = offered;
    std::string protocol;
    RunWith(
        [&](TlsClient& client) {
          EXPECT_EQ(client.Connect(), connects) << offered;
          protocol = client.protocol();
        },
        options);
    EXPECT_EQ(protocol_->closed, connects ? 1 : 0);
    return protocol;
  };
  EXPECT_EQ(agreed("\x02h2\x08http/1.1", true), "http/1.1");
  EXPECT_EQ(agreed("", true), "");
  EXPECT_EQ(agreed("\x02h2", false), "");
  context_.SetProtocols({"h2", "http/1.1"});
  EXPECT_EQ(agreed("\x08http/1.1\x02h2", true), "h2");
}

TEST_F(TlsTest, RefusesOldVersions) {
  TlsClient::Options options = Trusting();
  options.version = TLS1_1_VERSION;
  RunWith([](TlsClient& client) { EXPECT_FALSE(client.Connect()); }, options);
  EXPECT_EQ(protocol_->closed, 0);
}

TEST_F(TlsTest, ClosesOnClientsThatDoNotSpeakIt) {
  const auto answered = [&](std::string_view bytes) {
    const Descriptor peer = OpenTls();
    std::string answer;
    RunBeside([&] {
      SendAll(peer, bytes);
      ::shutdown(peer.get(), SHUT_WR);
      answer = ReadAll(peer, 1000);
    });
    return answer;
  };
  EXPECT_EQ(answered("GET /v2 HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(answered("POST /v2/models/m/infer HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 400 Bad Request\r\n\r\n");
  for (const std::string_view garbage :
       {"", "\n", "\x16", "\x16\x03\x01\xff\xff garbage",
        "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", "SSH-2.0-x\n"}) {
    EXPECT_EQ(answered(garbage).find("HTTP"), std::string::npos);
  }
  EXPECT_EQ(protocol_->closed, 0);
}

TEST_F(TlsTest, ClosesWhenAHandshakeTakesTooLong) {
  const TimePoint start = Clock::System().Now();
  const Descriptor silent = OpenTls(start + Duration(100));
  const Descriptor slow = OpenTls(start + Duration(100));
  SendAll(slow, "\x16\x03\x01\x02");
  protocol_->the_deadline = TimePoint::min();
  loop_.Post([&] {
    connections_.CheckDeadlines(start + Duration(99));
    EXPECT_EQ(connections_.size(), 2U);
    connections_.CheckDeadlines(start + Duration(100));
    EXPECT_EQ(connections_.size(), 0U);
  });
  Run();
  EXPECT_EQ(removed_, 2);
  EXPECT_EQ(protocol_->closed, 0);
}

TEST_F(TlsTest, DoesNotWaitForHandshakesWhenItStops) {
  const Descriptor peer = OpenTls();
  loop_.Post([&] { connections_.StopWhenIdle(); });
  Run();
  EXPECT_EQ(removed_, 1);
  EXPECT_EQ(protocol_->closed, 0);
}

TEST_F(TlsTest, SaysThatNothingMoreComesWhenItCloses) {
  RunWith([&](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    ASSERT_TRUE(client.Send("hello"));
    ASSERT_EQ(client.Receive(5), "hello");
    loop_.Post([&] { connections_.StopWhenIdle(); });
    EXPECT_TRUE(client.SeesEnd());
  });
}

TEST_F(TlsTest, SaysThatNothingMoreComesWhileItDrains) {
  protocol_->echoes = false;
  protocol_->on_read = [&] { protocol_->the_phase = Phase::kDraining; };
  RunWith([&](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    ASSERT_TRUE(client.Send("last"));
    EXPECT_TRUE(client.SeesEnd());
    // What still comes is read.
    EXPECT_TRUE(client.Send("more"));
  });
  EXPECT_EQ(protocol_->reads, (std::vector<size_t>{4, 4}));
}

TEST_F(TlsTest, TakesAClientThatSaysTheEndForGone) {
  RunWith([&](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    client.SayEnd();
    EXPECT_TRUE(client.SeesEnd());
  });
  EXPECT_EQ(protocol_->closed, 1);
}

TEST_F(TlsTest, NoticesAPeerThatHasGoneWhenItSends) {
  protocol_->echoes = false;
  protocol_->on_read = [&] {
    // Its end of the socket is closed by now.
    protocol_->Send("hello");
    protocol_->Send(std::string_view("more"));
  };
  RunWith([](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    ASSERT_TRUE(client.Send("x"));
    client.Close();
  });
  EXPECT_EQ(protocol_->closed, 1);
}

TEST_F(TlsTest, ResumesSessions) {
  for (const bool with_certificates : {false, true}) {
    if (with_certificates) {
      ASSERT_TRUE(context_.RequireClientCertificates(Files().File("authority.pem")).ok());
    }
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      TlsClient::Options options = with_certificates ? Known() : Trusting();
      options.version = version;
      for (const bool again : {false, true}) {
        protocol_ = std::make_shared<EchoProtocol>();
        RunWith(
            [&](TlsClient& client) {
              ASSERT_TRUE(client.Connect());
              ASSERT_TRUE(client.Send("x"));
              ASSERT_EQ(client.Receive(1), "x");
              EXPECT_EQ(client.resumed(), again);
              options.session = client.session();
            },
            options);
      }
    }
  }
}

TEST_F(TlsTest, AsksForCertificatesOfClientsWhereTheyAreRequired) {
  ASSERT_TRUE(context_.RequireClientCertificates(Files().File("authority.pem")).ok());
  // The client's own.
  std::signal(SIGPIPE, SIG_IGN);
  const auto served = [&](const TlsClient::Options& options) {
    protocol_ = std::make_shared<EchoProtocol>();
    bool echoed = false;
    RunWith(
        [&](TlsClient& client) {
          echoed = client.Connect() && client.Send("x") && client.Receive(1) == "x";
        },
        options);
    EXPECT_EQ(protocol_->closed, echoed ? 1 : 0);
    return echoed;
  };
  EXPECT_TRUE(served(Known()));
  EXPECT_FALSE(served(Trusting()));
  TlsClient::Options stranger = Trusting();
  stranger.certificate = Files().File("stranger.pem");
  stranger.key = Files().File("stranger.key");
  EXPECT_FALSE(served(stranger));
}

TEST_F(TlsTest, GoesOnWhenKeysAreRenewed) {
  RunWith([](TlsClient& client) {
    ASSERT_TRUE(client.Connect());
    for (int i = 0; i < 100; ++i) {
      client.RenewKeys();
      ASSERT_TRUE(client.Send("again"));
      ASSERT_EQ(client.Receive(5), "again");
    }
    // Many at once, and data behind each.
    for (int i = 0; i < 20; ++i) {
      client.RenewKeys();
      ASSERT_TRUE(client.Send("x"));
    }
    EXPECT_EQ(client.Receive(20), std::string(20, 'x'));
  });
}

class TlsFilesTest : public ::testing::Test {
 protected:
  static std::string Of(std::string_view name) { return Files().File(name); }
  static void ExpectRefused(const Status& status, std::string_view text) {
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message(), text);
  }

  TlsContext context_;
};

TEST_F(TlsFilesTest, SaysWhatIsWrongWithAFile) {
  const std::string empty = Files().Write("empty.pem", "");
  const std::string text = Files().Write("text.pem", "no certificate\n");
  const std::string folder = std::filesystem::temp_directory_path().string();
  const std::vector<std::function<Status(const std::string&)>> uses = {
      [&](const std::string& file) { return context_.UseCertificate(file); },
      [&](const std::string& file) { return context_.UseKey(file); },
      [&](const std::string& file) { return context_.RequireClientCertificates(file); }};
  for (const auto& use : uses) {
    ExpectRefused(use(Of("missing.pem")), "No such file or directory");
    ExpectRefused(use(folder), "Is a directory");
    ExpectRefused(use(empty), "is empty");
  }
  ExpectRefused(uses[0](text), "holds no certificate in PEM form");
  ExpectRefused(uses[1](text), "holds no private key in PEM form");
  ExpectRefused(uses[2](text), "holds no certificate in PEM form");
  ExpectRefused(uses[0](Of("server.key")), "holds no certificate in PEM form");
  ExpectRefused(uses[1](Of("server.pem")), "holds no private key in PEM form");
}

TEST_F(TlsFilesTest, RefusesACertificateThatIsNotOne) {
  const std::string broken =
      Files().Write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const Status status = context_.UseCertificate(broken);
  EXPECT_EQ(status.message().rfind("holds no usable certificate: ", 0), 0U) << status.message();
}

TEST_F(TlsFilesTest, RefusesAKeyThatItCannotUse) {
  ASSERT_TRUE(context_.UseCertificate(Of("server.pem")).ok());
  ExpectRefused(context_.UseKey(Of("client.key")), "does not fit the certificate");
  ExpectRefused(context_.UseKey(Files().Write("rsa.key", *testing::RsaKey())),
                "does not fit the certificate");
  ExpectRefused(context_.UseKey(Files().Write("secret.key", *testing::EcKey(), "secret")),
                "is encrypted; the server needs a key without a passphrase");
  EXPECT_TRUE(context_.UseKey(Of("server.key")).ok());
}

}  // namespace
}  // namespace despina::net
