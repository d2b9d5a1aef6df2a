// A client of gRPC for tests, by nghttp2: what it has for the server, and what it was told.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace despina::grpc::testing {

// A message behind its prefix; `flag`: whether it is compressed.
inline std::string Framed(std::string_view message, char flag = '\0') {
  std::string out(1, flag);
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>(message.size() >> static_cast<unsigned>(shift));
  }
  return out.append(message);
}

// A ModelInferRequest with INPUT0 of so many floats, of which the first says `value`.
inline std::string InferMessage(std::string_view model, std::string_view id, float value = 1,
                                size_t floats = 1) {
  std::string tensor;
  protozero::pbf_writer input(tensor);
  input.add_string(1, "INPUT0");
  input.add_string(2, "FP32");
  input.add_int64(3, static_cast<int64_t>(floats));
  std::string contents(floats * sizeof value, '\0');
  std::memcpy(contents.data(), &value, sizeof value);
  std::string message;
  protozero::pbf_writer request(message);
  request.add_string(1, model.data(), model.size());
  request.add_string(3, id.data(), id.size());
  request.add_message(5, tensor);
  request.add_bytes(7, contents);
  return message;
}

// What a client sees of one call.
struct Answered {
  std::map<std::string, std::string> fields;
  std::string body;
  std::optional<uint32_t> closed;

  std::string status() const {
    const auto found = fields.find("grpc-status");
    return found == fields.end() ? "none" : found->second;
  }
};

// Does no I/O.
class Client {
 protected:
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { nghttp2_session_del(client_); }

  // Anew, as at the beginning of a connection.
  void BeginClient() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_del(client_);
    nghttp2_session_client_new(&client_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  std::string FromClient() {
    std::string out;
    const uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(client_, &data)) > 0;) {
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    return out;
  }
  void Receive(std::string_view bytes) {
    nghttp2_session_mem_recv(client_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }

  // A call with these messages already framed; `end`: nothing more comes.
  int32_t Start(std::string path, std::string body, bool end = true,
                std::vector<std::pair<std::string, std::string>> fields = {},
                std::string method = "POST", std::string type = "application/grpc") {
    fields.insert(fields.begin(), {{":method", std::move(method)},
                                   {":scheme", "http"},
                                   {":authority", "test"},
                                   {":path", std::move(path)},
                                   {"content-type", std::move(type)},
                                   {"te", "trailers"}});
    std::vector<nghttp2_nv> head;
    for (auto& [name, value] : fields) {
      head.push_back({reinterpret_cast<uint8_t*>(name.data()),
                      reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
    }
    auto upload = std::make_unique<Upload>(std::move(body), end);
    nghttp2_data_provider provider{.source = {.ptr = upload.get()}, .read_callback = ReadUpload};
    const int32_t stream =
        nghttp2_submit_request(client_, nullptr, head.data(), head.size(), &provider, nullptr);
    uploads_[stream] = std::move(upload);
    return stream;
  }
  void SendMore(int32_t stream, std::string_view body, bool end) {
    uploads_[stream]->body += body;
    uploads_[stream]->end = end;
    nghttp2_session_resume_data(client_, stream);
  }

  static constexpr const char* kUnary = "/inference.GRPCInferenceService/ModelInfer";
  static constexpr const char* kStream = "/inference.GRPCInferenceService/ModelStreamInfer";

  nghttp2_session* client_ = nullptr;
  std::map<int32_t, Answered> answered_;
  std::optional<uint32_t> go_away_;
  std::string go_away_text_;
  int pings_ = 0;

 private:
  struct Upload {
    Upload(std::string the_body, bool the_end) : body(std::move(the_body)), end(the_end) {}
    std::string body;
    bool end;
  };

  static Client& Of(void* user) { return *static_cast<Client*>(user); }
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    Of(user).answered_[frame->hd.stream_id].fields.emplace(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                    void* user) {
    Of(user).answered_[stream].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int OnStreamClose(nghttp2_session*, int32_t stream, uint32_t code, void* user) {
    Of(user).answered_[stream].closed = code;
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Client& client = Of(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
      ++client.pings_;
    }
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    client.go_away_ = frame->goaway.error_code;
    client.go_away_text_.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data),
                                frame->goaway.opaque_data_len);
    return 0;
  }
  static ssize_t ReadUpload(nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                            uint32_t* flags, nghttp2_data_source* source, void*) {
    Upload& upload = *static_cast<Upload*>(source->ptr);
    const size_t part = std::min(size, upload.body.size());
    std::copy_n(upload.body.begin(), part, buffer);
    upload.body.erase(0, part);
    if (upload.body.empty() && upload.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (part == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(part);
  }

  std::map<int32_t, std::unique_ptr<Upload>> uploads_;
};

}  // namespace despina::grpc::testing
