# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What an operator has of it: completion, which the program itself prints, the
# configuration, the JSON schemas and the dashboard. The units are in systemd/.
set(completion_dir ${CMAKE_CURRENT_BINARY_DIR}/completion)
foreach(shell bash zsh)
  add_custom_command(OUTPUT ${completion_dir}/${shell}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${completion_dir}
    COMMAND ringraid completion ${shell} > ${completion_dir}/${shell}
    DEPENDS ringraid VERBATIM)
endforeach()
add_custom_target(completion ALL DEPENDS ${completion_dir}/bash ${completion_dir}/zsh)
install(FILES ${completion_dir}/bash DESTINATION share/bash-completion/completions RENAME ringraid)
install(FILES ${completion_dir}/zsh DESTINATION share/zsh/vendor-completions RENAME _ringraid)
file(GLOB schemas CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../schema/*.json)
install(FILES ${schemas} DESTINATION share/ringraid/schema)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/grafana/ringraid.json DESTINATION share/ringraid/grafana)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/ringraid.conf DESTINATION /etc/ringraid)
