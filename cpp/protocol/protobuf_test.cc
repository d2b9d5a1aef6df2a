#include "protocol/protobuf.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

// Reads one field in some way; what is wrong with it, or nothing.
template <class Read>
std::string Fault(std::string_view message, Read read) {
  const Status status = ParsingProto("Thing", [&] {
    ProtoReader reader(message);
    EXPECT_TRUE(reader.Next());
    read(reader);
    return Ok();
  });
  EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument);
  return status.message();
}

void Skip(ProtoReader& reader) { reader.Skip(); }
void Bytes(ProtoReader& reader) { reader.Bytes(); }
void Text(ProtoReader& reader) { reader.String(); }
void Number(ProtoReader& reader) { reader.Uint64(); }

TEST(ProtobufTest, ReadsFieldsInTheirOrder) {
  const std::string message = Concat(Field(1, "text"), Varint(2, 1), DoubleValue(0.5), Varint(9, 0),
                                     Field(3, "skipped"), Varint(2, UINT64_MAX));
  ProtoReader reader(message);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 1U);
  EXPECT_EQ(reader.String(), "text");
  ASSERT_TRUE(reader.Next());
  EXPECT_TRUE(reader.Bool());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 4U);
  EXPECT_EQ(reader.Double(), 0.5);
  ASSERT_TRUE(reader.Next());
  EXPECT_FALSE(reader.Bool());
  ASSERT_TRUE(reader.Next());
  reader.Skip();
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Int64(), -1);
  EXPECT_FALSE(reader.Next());
}

TEST(ProtobufTest, RepeatedNumbersMayBePackedOrNot) {
  for (const std::string& message :
       {Packed(3, {1, 300, -1}), Concat(Varint(3, 1), Packed(3, {300}), Varint(3, UINT64_MAX))}) {
    std::vector<int64_t> read;
    for (ProtoReader reader(message); reader.Next();) {
      ForEachVarint(reader.Varints(),
                    [&](uint64_t each) { read.push_back(static_cast<int64_t>(each)); });
    }
    EXPECT_EQ(read, (std::vector<int64_t>{1, 300, -1}));
  }
  const std::string four = BytesOf<float>({2});
  const std::string message = Concat("\x35", four, Field(6, four + four));
  ProtoReader reader(message);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Fixed32s(), four);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Fixed32s(), four + four);
}

TEST(ProtobufTest, AMessageThatIsNoneIsInvalidArgumentAndNamed) {
  EXPECT_EQ(Fault(Varint(1, 1), Text), "failed to parse Thing: field 1 has wire type 0, not 2");
  EXPECT_EQ(Fault(Field(2, "x"), Number), "failed to parse Thing: field 2 has wire type 2, not 0");
  EXPECT_EQ(Fault(Field(3, "\xFF"), Text), "failed to parse Thing: field 3 is not UTF-8");
  EXPECT_EQ(Fault(Field(3, "\xFF"), Bytes), "") << "bytes may be any";
}

TEST(ProtobufTest, NothingIsReadBeyondTheMessage) {
  const std::string end = "failed to parse Thing: end of buffer exception";
  for (const auto read : {Skip, Bytes}) {
    EXPECT_EQ(Fault("\x0A", read), end) << "no length";
    EXPECT_EQ(Fault("\x0A\x02x", read), end) << "a length beyond the end";
    EXPECT_EQ(Fault("\x0A\x81\x80\x80\x80\x10x", read), end) << "2^32 more than there is";
    EXPECT_EQ(Fault("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", read), end);
  }
  EXPECT_EQ(Fault("\x08", Number), end) << "no number";
  EXPECT_EQ(Fault("\x08\x80", Number), end) << "half a number";
  EXPECT_EQ(Fault("\x08\x80", Skip), end);
  EXPECT_EQ(Fault("\x21\1\2\3", [](ProtoReader& reader) { reader.Double(); }), end);
  EXPECT_EQ(Fault("\x21\1\2\3", [](ProtoReader& reader) { reader.Fixed64s(); }), end);
  EXPECT_EQ(Fault("\x25\1", Skip), end);
  EXPECT_EQ(Fault("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", Number),
            "failed to parse Thing: varint too long exception");
  EXPECT_EQ(Fault(Field(6, "12345"), [](ProtoReader& reader) { reader.Fixed32s(); }),
            "failed to parse Thing: invalid length exception");
}

TEST(ProtobufTest, GroupsAndFieldZeroAreRefused) {
  const auto next = [](std::string_view message) {
    return ParsingProto("Thing",
                        [&] {
                          ProtoReader(message).Next();
                          return Ok();
                        })
        .message();
  };
  EXPECT_EQ(next("\x0B\x0C"), "failed to parse Thing: unknown pbf field type exception");
  EXPECT_EQ(next(std::string_view("\0\0", 2)), "failed to parse Thing: invalid tag exception");
  EXPECT_EQ(next("\x80"), "failed to parse Thing: end of buffer exception");
}

}  // namespace
}  // namespace despina::protocol
