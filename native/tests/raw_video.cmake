# The example raw_video on a flat stream whose first frame has a face: that frame changes, the others stay flat, and
# a stream that ends within a frame is an error.
file(MAKE_DIRECTORY ${work})
set(width 40)
set(height 30)
math(EXPR pixels "${width} * ${height}")
math(EXPR out_bytes "${pixels} * 16 * 3")
string(REPEAT "aaa" ${pixels} frame)
string(REPEAT "61" ${out_bytes} flat)
file(WRITE ${work}/boxes.txt "0 8 5 18 20\n")
file(WRITE ${work}/whole.rgb "${frame}${frame}${frame}")
file(WRITE ${work}/cut.rgb "${frame}aaa")

execute_process(COMMAND ${program} ${model} ${width} ${height} ${work}/boxes.txt
  INPUT_FILE ${work}/whole.rgb OUTPUT_FILE ${work}/out.rgb COMMAND_ERROR_IS_FATAL ANY)
foreach(number RANGE 2)
  math(EXPR start "${number} * ${out_bytes}")
  file(READ ${work}/out.rgb got OFFSET ${start} LIMIT ${out_bytes} HEX)
  string(COMPARE EQUAL "${got}" "${flat}" is_flat)
  string(LENGTH "${got}" length)
  math(EXPR expected "2 * ${out_bytes}")
  if(NOT length EQUAL expected OR (number EQUAL 0 AND is_flat) OR (number GREATER 0 AND NOT is_flat))
    message(FATAL_ERROR "frame ${number} is not as expected")
  endif()
endforeach()

execute_process(COMMAND ${program} ${model} ${width} ${height} ${work}/boxes.txt
  INPUT_FILE ${work}/cut.rgb OUTPUT_QUIET ERROR_VARIABLE said RESULT_VARIABLE code)
if(NOT code EQUAL 1 OR NOT said MATCHES "ends within frame 1")
  message(FATAL_ERROR "a stream cut short ends with ${code}: ${said}")
endif()
