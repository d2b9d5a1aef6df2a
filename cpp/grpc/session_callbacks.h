// What nghttp2 tells a session, and how it asks for more.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>

#include "grpc/session.h"

namespace despina::grpc {

// Called by nghttp2 while it reads or writes, on the loop's thread. None of them throws.
struct Session::Callbacks {
  // A session of a server that calls these for `session`; null when there is no memory.
  static nghttp2_session* NewSession(Session& session);

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                      nghttp2_rcbuf* value, uint8_t flags, void* user);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream, const uint8_t* data,
                    size_t size, void* user);
  static int OnClosed(nghttp2_session*, int32_t stream, uint32_t error_code, void* user);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static ssize_t ReadLength(nghttp2_session*, uint8_t type, int32_t stream,
                            int32_t connection_window, int32_t stream_window,
                            uint32_t max_frame_size, void* user);
  // Says how much of a call's messages goes into a frame.
  static ssize_t Read(nghttp2_session*, int32_t stream, uint8_t* buffer, size_t size,
                      uint32_t* flags, nghttp2_data_source* source, void* user);
  // Moves that.
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* user);

  // The status that ends a call's answer.
  static void SubmitTrailers(nghttp2_session* session, const Call& call);
  static Call* CallOf(nghttp2_session* session, int32_t stream);
};

}  // namespace despina::grpc
