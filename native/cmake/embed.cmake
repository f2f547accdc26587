# Writes OUT, a C++ source that holds the files FATBIN (may be empty) and PTX as bytes.
function(bytes_of file name result)
  if(file STREQUAL "")
    set(${result} "const void* const ${name} = nullptr;\n" PARENT_SCOPE)
    return()
  endif()
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  # The zero ends the PTX text, which the driver reads as a string.
  set(${result} "alignas(64) const unsigned char ${name}[] = {\n${hex}0x00};\n" PARENT_SCOPE)
endfunction()

bytes_of("${FATBIN}" fatbin_bytes fatbin)
bytes_of("${PTX}" ptx_bytes ptx)
file(WRITE "${OUT}" "#include \"kernels/embedded.h\"\n\nnamespace {\n${fatbin}${ptx}}  // namespace\n\n"
  "namespace kv::kernels {\n"
  "const void* fatbin() noexcept { return fatbin_bytes; }\n"
  "const void* ptx() noexcept { return ptx_bytes; }\n"
  "const char* source() noexcept { return \"${SOURCE}\"; }\n"
  "}  // namespace kv::kernels\n")
