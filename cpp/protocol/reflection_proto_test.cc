#include "protocol/reflection_proto.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/proto_test_support.h"

namespace despina::protocol {
namespace {

std::string Named(std::string_view name) { return BytesField(1, name); }

// Fields of google.protobuf.FileDescriptorProto, by their names there.
std::string File(std::string_view name, std::string_view package) {
  return Named(name) + BytesField(2, package);
}
std::string Dependency(std::string_view name) { return BytesField(3, name); }
std::string MessageType(std::string_view message) { return BytesField(4, message); }
std::string EnumType(std::string_view message) { return BytesField(5, message); }
std::string ServiceOf(std::string_view message) { return BytesField(6, message); }

// Fields of requests.
std::string FileByFilename(std::string_view name) { return BytesField(3, name); }
std::string FileContainingSymbol(std::string_view name) { return BytesField(4, name); }
const std::string kListServices = BytesField(7, "*");

std::string AnswerWith(const std::string& request, uint32_t field, const std::string& response) {
  return BytesField(2, request) + BytesField(field, response);
}
std::string AnswerWithFiles(const std::string& request, const std::vector<std::string>& files) {
  std::string response;
  for (const std::string& file : files) response += BytesField(1, file);
  return AnswerWith(request, 4, response);
}
std::string AnswerWithError(const std::string& request, Code code, std::string_view text) {
  return AnswerWith(request, 7, NumberField(1, static_cast<uint64_t>(code)) + BytesField(2, text));
}

class DescriptorsTest : public ::testing::Test {
 protected:
  // b.proto imports a.proto, d.proto both; c.proto and d.proto import each other.
  const std::string a_ =
      File("a.proto", "p.q") + MessageType(Named("A")) + EnumType(Named("Color"));
  const std::string b_ =
      File("b.proto", "p.q") + Dependency("a.proto") +
      MessageType(BytesField(3, BytesField(3, Named("Innermost")) + Named("Inner") +
                                    BytesField(4, Named("Kind"))) +
                  Named("B")) +
      ServiceOf(Named("Service") + BytesField(2, Named("Call")) + BytesField(2, Named("Other")));
  const std::string c_ = File("c.proto", "") + Dependency("d.proto") + MessageType(Named("C")) +
                         ServiceOf(Named("Bare"));
  const std::string d_ =
      Named("d.proto") + Dependency("a.proto") + Dependency("b.proto") + Dependency("c.proto");
  const Descriptors descriptors_ = *Descriptors::Make(std::vector{a_, b_, c_, d_});

  std::string Answer(const std::string& request) const { return *descriptors_.Answer(request); }
};

TEST_F(DescriptorsTest, GivesAFileWithAllThatItImportsOnce) {
  const auto expect = [&](const std::string& name, const std::vector<std::string>& files) {
    const std::string request = FileByFilename(name);
    EXPECT_EQ(Answer(request), AnswerWithFiles(request, files)) << name;
  };
  expect("a.proto", {a_});
  expect("b.proto", {b_, a_});
  expect("d.proto", {d_, c_, b_, a_});
  expect("c.proto", {c_, d_, b_, a_});
}

TEST_F(DescriptorsTest, FindsWhatFilesDeclareByFullNames) {
  for (const char* name : {"p.q.A", "p.q.Color"}) {
    const std::string request = FileContainingSymbol(name);
    EXPECT_EQ(Answer(request), AnswerWithFiles(request, {a_})) << name;
  }
  for (const char* name : {"p.q.B", "p.q.B.Inner", "p.q.B.Inner.Innermost", "p.q.B.Inner.Kind",
                           "p.q.Service", "p.q.Service.Call", "p.q.Service.Other"}) {
    const std::string request = FileContainingSymbol(name);
    EXPECT_EQ(Answer(request), AnswerWithFiles(request, {b_, a_})) << name;
  }
  // Of a file without a package.
  const std::string request = FileContainingSymbol("C");
  EXPECT_EQ(Answer(request), AnswerWithFiles(request, {c_, d_, b_, a_}));
}

TEST_F(DescriptorsTest, ListsServices) {
  EXPECT_EQ(Answer(kListServices),
            AnswerWith(kListServices, 6,
                       BytesField(1, Named("p.q.Service")) + BytesField(1, Named("Bare"))));
}

TEST_F(DescriptorsTest, SaysWhatItDoesNotHave) {
  for (const char* name : {"", "A", "p", "p.q", "p.q.", "p.q.Call", ".p.q.A", "q.A", "p.q.AB"}) {
    const std::string request = FileContainingSymbol(name);
    const std::string text = std::string("there is no symbol '") + name + "'";
    EXPECT_EQ(Answer(request), AnswerWithError(request, Code::kNotFound, text)) << name;
  }
  const std::string file = FileByFilename("p.q.A");
  EXPECT_EQ(Answer(file), AnswerWithError(file, Code::kNotFound, "there is no file 'p.q.A'"));
  const std::string extension = BytesField(5, BytesField(1, "p.q.A") + NumberField(2, 100));
  for (const std::string& request : {extension, BytesField(6, "p.q.A")}) {
    EXPECT_EQ(Answer(request),
              AnswerWithError(request, Code::kNotFound, "there are no extensions of messages"));
  }
}

TEST_F(DescriptorsTest, SaysThatNothingIsAskedFor) {
  EXPECT_EQ(Answer(""), AnswerWithError("", Code::kInvalidArgument, "nothing is asked for"));
}

TEST_F(DescriptorsTest, EchoesTheRequestAndItsHost) {
  const std::string request =
      NumberField(100, 5) + BytesField(1, "host:1") + FileByFilename("a.proto");
  EXPECT_EQ(Answer(request), BytesField(1, "host:1") + AnswerWithFiles(request, {a_}));
}

TEST_F(DescriptorsTest, AnswersTheLastOfSeveralQuestions) {
  const std::string request = kListServices + FileByFilename("a.proto");
  EXPECT_EQ(Answer(request), AnswerWithFiles(request, {a_}));
}

TEST_F(DescriptorsTest, RefusesWhatIsNoRequest) {
  for (const std::string& bytes :
       {BytesField(3, "\xFF"), NumberField(7, 1), std::string("\x1A\x05")}) {
    const Status status = descriptors_.Answer(bytes).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message().find("failed to parse ServerReflectionRequest: "), 0U);
  }
}

TEST(DescriptorsWithoutFiles, ListNothing) {
  EXPECT_EQ(*Descriptors().Answer(kListServices), AnswerWith(kListServices, 6, ""));
}

TEST(DescriptorsOfFiles, HaveToBeWhole) {
  const auto refused = [](const std::vector<std::string>& files) {
    const Status status = Descriptors::Make(files).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  };
  EXPECT_EQ(refused({"\x0A\x09x"}).find("failed to parse FileDescriptorProto: "), 0U);
  EXPECT_EQ(refused({File("x", "p") + MessageType("\x0A\x09x")})
                .find("failed to parse FileDescriptorProto: "),
            0U);
  EXPECT_EQ(refused({File("x", "p") + Dependency("y")}),
            "file 'x' imports 'y', which is not there");
  EXPECT_EQ(refused({File("x", "p"), File("x", "q")}), "there are two files 'x'");
}

}  // namespace
}  // namespace despina::protocol
