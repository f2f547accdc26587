#pragma once
#include <napi.h>

namespace kv::binding {

void export_device_functions(Napi::Env env, Napi::Object exports);
void export_stream_functions(Napi::Env env, Napi::Object exports);
void export_graph_functions(Napi::Env env, Napi::Object exports);
void export_memory_functions(Napi::Env env, Napi::Object exports);
void export_kernel_functions(Napi::Env env, Napi::Object exports);
void export_append_rotary_functions(Napi::Env env, Napi::Object exports);
void export_attention_functions(Napi::Env env, Napi::Object exports);

}  // namespace kv::binding
